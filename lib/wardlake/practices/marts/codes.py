"""Codes that measures and panels speak of: SNOMED CT for conditions and procedures, LOINC for observations, CVX for vaccines.

Of each value set, the codes that practices of the sample use; a customer's own codes join them in review, not by configuration:
a measure counts what its steward says it counts.
"""

from __future__ import annotations

from collections.abc import Mapping

DIABETES = ("44054006", "46635009")  # type 2, type 1
HYPERTENSION = ("59621000", "38341003")  # essential; hypertensive disorder
CHRONIC_CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "asthma": ("195967001", "233678006"),
    "chronic kidney disease": ("431855005", "431856006", "433144002", "431857002", "433146000", "46177005"),
    "chronic obstructive pulmonary disease": ("13645005", "185086009", "87433001"),
    "diabetes": DIABETES,
    "heart failure": ("88805009", "84114007"),
    "hypertension": HYPERTENSION,
    "ischaemic heart disease": ("414545008", "53741008"),
    "osteoarthritis": ("239873007", "239872002", "201834006"),
}

HBA1C = "4548-4"  # Hemoglobin A1c/Hemoglobin.total in Blood
SYSTOLIC, DIASTOLIC = "8480-6", "8462-4"

MAMMOGRAPHY = ("71651007", "24623002")
COLONOSCOPY = ("73761001",)
FAECAL_BLOOD_TEST = ("104435004",)
SIGMOIDOSCOPY = ("44441009", "396226005")
CT_COLONOGRAPHY = ("418714002",)
STOOL_DNA_TEST = ("708699002",)
DEPRESSION_SCREENING = ("171207006", "454711000124102", "715252007")
INFLUENZA_VACCINES = ("140", "88", "141", "150", "158", "185", "186")
