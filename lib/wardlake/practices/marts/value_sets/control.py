"""Of measures of control: diabetes and its tests, hypertension and what excludes from it."""

from __future__ import annotations

from wardlake.practices.marts.value_sets.value_set import ValueSet

DIABETES = ValueSet(
    name="diabetes",
    concept="Diabetes",
    oid="2.16.840.1.113883.3.464.1003.103.12.1001",
    codes={
        "44054006": "Diabetes mellitus type 2 (disorder)",
        "46635009": "Diabetes mellitus type 1 (disorder)",
        "81531005": "Diabetes mellitus type 2 in obese (disorder)",
        "359642000": "Diabetes mellitus type 2 in nonobese (disorder)",
        "237599002": "Insulin treated type 2 diabetes mellitus (disorder)",
        "368581000119106": "Neuropathy due to type 2 diabetes mellitus (disorder)",
        "422034002": "Retinopathy due to type 2 diabetes mellitus (disorder)",
        "420789003": "Retinopathy due to type 1 diabetes mellitus (disorder)",
    },
)
GLYCAEMIC_STATUS = ValueSet(
    name="glycaemic_status",
    concept="HbA1c Laboratory Test, with the glucose management indicator",
    oid="2.16.840.1.113883.3.464.1003.198.12.1013",
    codes={
        "4548-4": "Hemoglobin A1c/Hemoglobin.total in Blood",
        "4549-2": "Hemoglobin A1c/Hemoglobin.total in Blood by Electrophoresis",
        "17855-8": "Hemoglobin A1c/Hemoglobin.total in Blood by calculation",
        "17856-6": "Hemoglobin A1c/Hemoglobin.total in Blood by HPLC",
        "96595-4": "Hemoglobin A1c/Hemoglobin.total in DBS",
        "97506-0": "Glucose management indicator",
    },
)
ESSENTIAL_HYPERTENSION = ValueSet(
    name="essential_hypertension",
    concept="Essential Hypertension",
    oid="2.16.840.1.113883.3.464.1003.104.12.1011",
    codes={
        "59621000": "Essential hypertension (disorder)",
        "1201005": "Benign essential hypertension (disorder)",
        "78975002": "Malignant essential hypertension (disorder)",
        "371125006": "Labile essential hypertension (disorder)",
        "429457004": "Systolic essential hypertension (disorder)",
    },
)
SYSTOLIC_PRESSURE = ValueSet(name="systolic_pressure", codes={"8480-6": "Systolic blood pressure"})
DIASTOLIC_PRESSURE = ValueSet(name="diastolic_pressure", codes={"8462-4": "Diastolic blood pressure"})
PREGNANCY = ValueSet(
    name="pregnancy",
    concept="Pregnancy",
    oid="2.16.840.1.113883.3.526.3.378",
    codes={
        "77386006": "Pregnancy (finding)",
        "72892002": "Normal pregnancy (finding)",
        "47200007": "High risk pregnancy (finding)",
        "16356006": "Multiple pregnancy (finding)",
        "65147003": "Twin pregnancy (finding)",
        "57630001": "First trimester pregnancy (finding)",
        "59466002": "Second trimester pregnancy (finding)",
        "41587001": "Third trimester pregnancy (finding)",
    },
)
END_STAGE_RENAL_DISEASE = ValueSet(
    name="end_stage_renal_disease",
    concept="End Stage Renal Disease; Chronic Kidney Disease, Stage 5",
    oid="2.16.840.1.113883.3.526.3.353",
    codes={
        "46177005": "End-stage renal disease (disorder)",
        "236434000": "End stage renal failure untreated by renal replacement therapy (disorder)",
        "236435004": "End stage renal failure on dialysis (disorder)",
        "236436003": "End stage renal failure with renal transplant (disorder)",
        "433146000": "Chronic kidney disease stage 5 (disorder)",
    },
)
KIDNEY_TRANSPLANT_RECIPIENT = ValueSet(
    name="kidney_transplant_recipient",
    concept="Kidney Transplant Recipient",
    oid="2.16.840.1.113883.3.464.1003.109.12.1029",
    codes={"161665007": "History of renal transplant (situation)"},
)
KIDNEY_TRANSPLANT = ValueSet(
    name="kidney_transplant",
    concept="Kidney Transplant",
    oid="2.16.840.1.113883.3.464.1003.109.12.1012",
    codes={
        "70536003": "Transplant of kidney (procedure)",
        "175901007": "Live donor renal transplant (procedure)",
        "175902000": "Cadaveric renal transplant (procedure)",
        "313030004": "Donor renal transplantation (procedure)",
        "6471000179103": "Transplantation of kidney and pancreas (procedure)",
    },
)
DIALYSIS = ValueSet(
    name="dialysis",
    concept="Dialysis Services",
    oid="2.16.840.1.113883.3.464.1003.109.12.1013",
    codes={
        "265764009": "Renal dialysis (procedure)",
        "108241001": "Dialysis procedure (procedure)",
        "302497006": "Hemodialysis (procedure)",
        "71192002": "Peritoneal dialysis (procedure)",
        "233586004": "Hemodiafiltration (procedure)",
        "428648006": "Automated peritoneal dialysis (procedure)",
        "67970008": "Hemodialysis, maintenance at home (procedure)",
    },
)
MONTHLY_RENAL_SERVICES = ValueSet(
    name="monthly_renal_services",
    concept="ESRD Monthly Outpatient Services",
    oid="2.16.840.1.113883.3.464.1003.109.12.1014",
    codes={},
)
