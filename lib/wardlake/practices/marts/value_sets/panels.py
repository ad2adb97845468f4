"""Chronic conditions that panels count, by the condition that a panel names. They stand for no value set of an eCQM."""

from __future__ import annotations

from collections.abc import Mapping

from wardlake.practices.marts.value_sets.value_set import ValueSet

_DIABETES = {"44054006": "Diabetes mellitus type 2 (disorder)", "46635009": "Diabetes mellitus type 1 (disorder)"}

CHRONIC_CONDITIONS: Mapping[str, ValueSet] = {
    "asthma": ValueSet(
        name="panel_asthma",
        codes={"195967001": "Asthma (disorder)", "233678006": "Childhood asthma (disorder)"},
    ),
    "chronic kidney disease": ValueSet(
        name="panel_chronic_kidney_disease",
        codes={
            "431855005": "Chronic kidney disease stage 1 (disorder)",
            "431856006": "Chronic kidney disease stage 2 (disorder)",
            "433144002": "Chronic kidney disease stage 3 (disorder)",
            "431857002": "Chronic kidney disease stage 4 (disorder)",
            "433146000": "Chronic kidney disease stage 5 (disorder)",
            "46177005": "End-stage renal disease (disorder)",
        },
    ),
    "chronic obstructive pulmonary disease": ValueSet(
        name="panel_chronic_obstructive_pulmonary_disease",
        codes={
            "13645005": "Chronic obstructive pulmonary disease (disorder)",
            "185086009": "Chronic obstructive bronchitis (disorder)",
            "87433001": "Pulmonary emphysema (disorder)",
        },
    ),
    "diabetes": ValueSet(name="panel_diabetes", codes=_DIABETES),
    "heart failure": ValueSet(
        name="panel_heart_failure",
        codes={"88805009": "Chronic congestive heart failure (disorder)", "84114007": "Heart failure (disorder)"},
    ),
    "hypertension": ValueSet(
        name="panel_hypertension",
        codes={
            "59621000": "Essential hypertension (disorder)",
            "38341003": "Hypertensive disorder, systemic arterial (disorder)",
        },
    ),
    "ischaemic heart disease": ValueSet(
        name="panel_ischaemic_heart_disease",
        codes={"414545008": "Ischemic heart disease (disorder)", "53741008": "Coronary arteriosclerosis (disorder)"},
    ),
    "osteoarthritis": ValueSet(
        name="panel_osteoarthritis",
        codes={
            "239873007": "Osteoarthritis of knee (disorder)",
            "239872002": "Osteoarthritis of hip (disorder)",
            "201834006": "Localized, primary osteoarthritis of the hand (disorder)",
        },
    ),
}
INFLUENZA_VACCINES = ValueSet(
    name="influenza_vaccines",
    codes={
        "140": "Influenza, split virus, trivalent, preservative free",
        "88": "Influenza, unspecified formulation",
        "141": "Influenza, split virus, trivalent, preservative",
        "150": "Influenza, split virus, quadrivalent, preservative free",
        "158": "Influenza, split virus, quadrivalent, preservative",
        "185": "Influenza, recombinant, quadrivalent, preservative free",
        "186": "Influenza, cell culture, quadrivalent, preservative",
    },
)
