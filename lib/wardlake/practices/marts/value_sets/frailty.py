"""Who is past what screening and control can give: hospice, palliative care, nursing homes, frailty with advanced illness."""

from __future__ import annotations

from wardlake.practices.marts.value_sets.value_set import ValueSet

HOSPICE_ENCOUNTER = ValueSet(
    name="hospice_encounter",
    concept="Hospice Encounter",
    oid="2.16.840.1.113883.3.464.1003.1003",
    codes={
        "305336008": "Admission to hospice (procedure)",
        "183919006": "Urgent admission to hospice (procedure)",
        "183920000": "Routine admission to hospice (procedure)",
        "183921001": "Admission to hospice for respite (procedure)",
        "305911006": "Seen in hospice (finding)",
        "385765002": "Hospice care management (procedure)",
    },
)
HOSPICE_CARE = ValueSet(
    name="hospice_care",
    concept="Hospice Care Ambulatory, with the two dispositions of a discharge to hospice",
    oid="2.16.840.1.113883.3.526.3.1584",
    codes={
        "385763009": "Hospice care (regime/therapy)",
        "170935008": "Full care by hospice (finding)",
        "170936009": "Shared care - hospice and general practitioner (finding)",
        "428361000124107": "Discharge to home for hospice care (procedure)",
        "428371000124100": "Discharge to healthcare facility for hospice care (procedure)",
    },
)
HOSPICE_DIAGNOSIS = ValueSet(
    name="hospice_diagnosis",
    concept="Hospice Diagnosis",
    oid="2.16.840.1.113883.3.464.1003.1165",
    codes={
        "170935008": "Full care by hospice (finding)",
        "170936009": "Shared care - hospice and general practitioner (finding)",
        "305911006": "Seen in hospice (finding)",
    },
)
HOSPICE_ASSESSMENT = ValueSet(name="hospice_assessment", codes={"45755-6": "Hospice care [Minimum Data Set]"})
YES = ValueSet(name="yes", codes={"373066001": "Yes (qualifier value)"})
PALLIATIVE_ENCOUNTER = ValueSet(
    name="palliative_encounter",
    concept="Palliative Care Encounter",
    oid="2.16.840.1.113883.3.464.1003.101.12.1090",
    codes={
        "305284002": "Admission by palliative care physician (procedure)",
        "305381007": "Admission to palliative care department (procedure)",
        "305686008": "Seen by palliative care physician (finding)",
        "441874000": "Seen by palliative care service (finding)",
        "713281006": "Consultation for palliative care (procedure)",
    },
)
PALLIATIVE_CARE = ValueSet(
    name="palliative_care",
    concept="Palliative Care Intervention",
    oid="2.16.840.1.113883.3.464.1003.198.12.1135",
    codes={
        "103735009": "Palliative care (regime/therapy)",
        "395669003": "Specialist palliative care treatment (regime/therapy)",
        "395670002": "Specialist palliative care treatment - inpatient (regime/therapy)",
        "395695001": "Specialist palliative care treatment - outpatient (regime/therapy)",
        "443761007": "Anticipatory palliative care (regime/therapy)",
    },
)
PALLIATIVE_DIAGNOSIS = ValueSet(
    name="palliative_diagnosis",
    concept="Palliative Care Diagnosis",
    oid="2.16.840.1.113883.3.464.1003.1167",
    codes={
        "305686008": "Seen by palliative care physician (finding)",
        "305824005": "Seen by palliative care medicine service (finding)",
        "441874000": "Seen by palliative care service (finding)",
    },
)
PALLIATIVE_ASSESSMENT = ValueSet(
    name="palliative_assessment",
    codes={"71007-9": "Functional Assessment of Chronic Illness Therapy - Palliative Care Questionnaire (FACIT-Pal)"},
)
HOUSING_STATUS = ValueSet(name="housing_status", codes={"71802-3": "Housing status"})
NURSING_HOME = ValueSet(name="nursing_home", codes={"160734000": "Lives in nursing home (finding)"})
EQUIPMENT_USED = ValueSet(name="equipment_used", codes={"98181-1": "Medical equipment used"})
FRAILTY_DEVICE = ValueSet(
    name="frailty_device",
    concept="Frailty Device",
    oid="2.16.840.1.113883.3.464.1003.118.12.1300",
    codes={
        "228869008": "Manual wheelchair (physical object)",
        "58938008": "Wheelchair device (physical object)",
        "266731002": "Walking frame (physical object)",
        "1255320005": "Wheeled walker (physical object)",
        "87405001": "Cane, device (physical object)",
        "360006004": "Walking stick (physical object)",
        "360008003": "Commode (physical object)",
        "66435007": "Electric bed, device (physical object)",
        "336608004": "Oxygen cylinder (physical object)",
    },
)
FRAILTY_DIAGNOSIS = ValueSet(
    name="frailty_diagnosis",
    concept="Frailty Diagnosis",
    oid="2.16.840.1.113883.3.464.1003.113.12.1074",
    codes={
        "217082002": "Accidental fall (event)",
        "40104005": "Fall in home (event)",
        "20902002": "Fall from bed (event)",
        "83468000": "Fall from chair (event)",
        "33036003": "Fall on same level (event)",
        "414190009": "Fall on stairs (event)",
        "225558004": "Pressure injury of back (disorder)",
        "225563000": "Pressure injury of buttock (disorder)",
        "699214007": "Pressure injury of hip (disorder)",
        "428484005": "Organic failure to thrive (disorder)",
    },
)
FRAILTY_SYMPTOM = ValueSet(
    name="frailty_symptom",
    concept="Frailty Symptom",
    oid="2.16.840.1.113883.3.464.1003.113.12.1075",
    codes={
        "248279007": "Frailty (finding)",
        "404904002": "Frail elderly (finding)",
        "160685001": "Bed-ridden (finding)",
        "160693001": "Mobility poor (finding)",
        "13791008": "Asthenia (finding)",
        "238108007": "Cachexia (finding)",
        "22325002": "Abnormal gait (finding)",
        "26544005": "Muscle weakness (finding)",
    },
)
FRAILTY_ENCOUNTER = ValueSet(
    name="frailty_encounter",
    concept="Frailty Encounter",
    oid="2.16.840.1.113883.3.464.1003.101.12.1088",
    codes={},
)
ADVANCED_ILLNESS = ValueSet(
    name="advanced_illness",
    concept="Advanced Illness",
    oid="2.16.840.1.113883.3.464.1003.110.12.1082",
    codes={
        "26929004": "Alzheimer's disease (disorder)",
        "52448006": "Dementia (disorder)",
        "15662003": "Senile dementia (disorder)",
        "429998004": "Vascular dementia (disorder)",
        "49049000": "Parkinson's disease (disorder)",
        "58756001": "Huntington's chorea (disorder)",
        "86044005": "Amyotrophic lateral sclerosis (disorder)",
        "84114007": "Heart failure (disorder)",
        "42343007": "Congestive heart failure (disorder)",
        "88805009": "Chronic congestive heart failure (disorder)",
        "441481004": "Chronic systolic heart failure (disorder)",
        "441530006": "Chronic diastolic heart failure (disorder)",
        "433146000": "Chronic kidney disease stage 5 (disorder)",
        "46177005": "End-stage renal disease (disorder)",
        "87433001": "Pulmonary emphysema (disorder)",
        "700250006": "Idiopathic pulmonary fibrosis (disorder)",
        "39871006": "Chronic respiratory failure (disorder)",
        "19943007": "Cirrhosis of liver (disorder)",
        "363418001": "Malignant tumor of pancreas (disorder)",
        "428061005": "Malignant neoplasm of brain (disorder)",
        "128462008": "Metastatic malignant neoplasm (disorder)",
    },
)
DEMENTIA_DRUGS = ValueSet(
    name="dementia_drugs",
    concept="Dementia Medications",
    oid="2.16.840.1.113883.3.464.1003.196.12.1510",
    codes={
        "997229": "donepezil hydrochloride 5 MG Oral Tablet",
        "997223": "donepezil hydrochloride 10 MG Oral Tablet",
        "1100184": "donepezil hydrochloride 23 MG Oral Tablet",
        "996571": "memantine hydrochloride 5 MG Oral Tablet",
        "996561": "memantine hydrochloride 10 MG Oral Tablet",
        "1599803": "24 HR donepezil hydrochloride 10 MG / memantine hydrochloride 28 MG Extended Release Oral Capsule",
        "310436": "galantamine 4 MG Oral Tablet",
        "310437": "galantamine 8 MG Oral Tablet",
        "579148": "galantamine 12 MG Oral Tablet",
        "314214": "rivastigmine 1.5 MG Oral Capsule",
        "312835": "rivastigmine 3 MG Oral Capsule",
        "1308569": "24 HR rivastigmine 0.554 MG/HR Transdermal System",
    },
)
