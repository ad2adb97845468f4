"""Of screening for cancer: what counts as screened, and who has nothing left to screen."""

from __future__ import annotations

from wardlake.practices.marts.value_sets.value_set import ValueSet

MAMMOGRAPHY = ValueSet(
    name="mammography",
    concept="Mammography, with procedures of SNOMED CT",
    oid="2.16.840.1.113883.3.464.1003.108.12.1018",
    codes={
        "71651007": "Mammography (procedure)",
        "24623002": "Screening mammography (procedure)",
        "24606-6": "MG Breast Screening",
        "24605-8": "MG Breast Diagnostic",
        "36625-2": "MG Breast Views",
        "36626-0": "MG Breast - bilateral Views",
        "86463-7": "DBT Breast - bilateral",
    },
)
BILATERAL_MASTECTOMY = ValueSet(
    name="bilateral_mastectomy",
    concept="Bilateral Mastectomy",
    oid="2.16.840.1.113883.3.464.1003.198.12.1005",
    codes={
        "27865001": "Excision of bilateral breasts (procedure)",
        "22418005": "Simple mastectomy of bilateral breasts (procedure)",
        "17086001": "Modified radical mastectomy, bilateral (procedure)",
        "76468001": "Radical mastectomy of bilateral breasts (procedure)",
        "14693006": "Subcutaneous mammectomy of bilateral breasts (procedure)",
        "726636007": "Prophylactic bilateral mastectomy (procedure)",
    },
)
BILATERAL_MASTECTOMY_HISTORY = ValueSet(
    name="bilateral_mastectomy_history",
    concept="History of bilateral mastectomy",
    oid="2.16.840.1.113883.3.464.1003.198.12.1068",
    codes={
        "428529004": "History of bilateral mastectomy (situation)",
        "136071000119101": "History of bilateral prophylactic mastectomy (situation)",
    },
)
LEFT_MASTECTOMY = ValueSet(
    name="left_mastectomy",
    concept="Unilateral Mastectomy Left",
    oid="2.16.840.1.113883.3.464.1003.198.12.1133",
    codes={
        "428571003": "Mastectomy of left breast (procedure)",
        "741009001": "Simple mastectomy of left breast (procedure)",
        "726437009": "Modified radical mastectomy of left breast (procedure)",
        "726429001": "Radical mastectomy of left breast (procedure)",
        "726435001": "Subcutaneous mastectomy of left breast (procedure)",
        "451211000124109": "Prophylactic mastectomy of left breast (procedure)",
    },
)
RIGHT_MASTECTOMY = ValueSet(
    name="right_mastectomy",
    concept="Unilateral Mastectomy Right",
    oid="2.16.840.1.113883.3.464.1003.198.12.1134",
    codes={
        "429400009": "Mastectomy of right breast (procedure)",
        "741010006": "Simple mastectomy of right breast (procedure)",
        "726436000": "Modified radical mastectomy of right breast (procedure)",
        "726430006": "Radical mastectomy of right breast (procedure)",
        "726434002": "Subcutaneous mastectomy of right breast (procedure)",
        "451201000124106": "Prophylactic mastectomy of right breast (procedure)",
    },
)
LEFT_MASTECTOMY_HISTORY = ValueSet(
    name="left_mastectomy_history",
    concept="Status Post Left Mastectomy",
    oid="2.16.840.1.113883.3.464.1003.198.12.1069",
    codes={
        "429009003": "History of left mastectomy (situation)",
        "137671000119105": "History of prophylactic mastectomy of left breast (situation)",
    },
)
RIGHT_MASTECTOMY_HISTORY = ValueSet(
    name="right_mastectomy_history",
    concept="Status Post Right Mastectomy",
    oid="2.16.840.1.113883.3.464.1003.198.12.1070",
    codes={
        "429242008": "History of right mastectomy (situation)",
        "137681000119108": "History of prophylactic mastectomy of right breast (situation)",
    },
)
COLONOSCOPY = ValueSet(
    name="colonoscopy",
    concept="Colonoscopy",
    oid="2.16.840.1.113883.3.464.1003.108.12.1020",
    codes={
        "73761001": "Colonoscopy (procedure)",
        "444783004": "Screening colonoscopy (procedure)",
        "235150006": "Total colonoscopy (procedure)",
        "367535003": "Fiberoptic colonoscopy (procedure)",
        "446745002": "Colonoscopy and biopsy of colon (procedure)",
    },
)
SIGMOIDOSCOPY = ValueSet(
    name="sigmoidoscopy",
    concept="Flexible Sigmoidoscopy",
    oid="2.16.840.1.113883.3.464.1003.198.12.1010",
    codes={
        "44441009": "Flexible fiberoptic sigmoidoscopy (procedure)",
        "396226005": "Flexible fiberoptic sigmoidoscopy with biopsy (procedure)",
    },
)
CT_COLONOGRAPHY = ValueSet(
    name="ct_colonography",
    concept="CT Colonography, with the procedure of SNOMED CT",
    oid="2.16.840.1.113883.3.464.1003.108.12.1038",
    codes={
        "418714002": "Virtual computed tomography colonoscopy (procedure)",
        "60515-4": "CT Colon and Rectum W air contrast PR",
        "72531-7": "CT Colon and Rectum W contrast IV and W air contrast PR",
        "79101-2": "CT Colon and Rectum for screening W air contrast PR",
    },
)
FAECAL_BLOOD_TEST = ValueSet(
    name="faecal_blood_test",
    concept="Fecal Occult Blood Test (FOBT)",
    oid="2.16.840.1.113883.3.464.1003.198.12.1011",
    codes={
        "2335-8": "Hemoglobin.gastrointestinal [Presence] in Stool",
        "14563-1": "Hemoglobin.gastrointestinal [Presence] in Stool --1st specimen",
        "27396-1": "Hemoglobin.gastrointestinal [Mass/mass] in Stool",
        "29771-3": "Hemoglobin.gastrointestinal.lower [Presence] in Stool by Immunoassay",
        "57905-2": "Hemoglobin.gastrointestinal.lower [Presence] in Stool by Immunoassay --1st specimen",
        "58453-2": "Hemoglobin.gastrointestinal.lower [Mass/volume] in Stool by Immunoassay",
        "80372-6": "Hemoglobin.gastrointestinal [Presence] in Stool by Rapid immunoassay",
    },
)
STOOL_DNA_TEST = ValueSet(
    name="stool_dna_test",
    concept="sDNA FIT Test",
    oid="2.16.840.1.113883.3.464.1003.108.12.1039",
    codes={
        "77353-1": "Noninvasive colorectal cancer DNA and occult blood screening [Interpretation] in Stool Narrative",
        "77354-9": "Noninvasive colorectal cancer DNA and occult blood screening [Presence] in Stool",
    },
)
COLORECTAL_CANCER = ValueSet(
    name="colorectal_cancer",
    concept="Malignant Neoplasm of Colon",
    oid="2.16.840.1.113883.3.464.1003.108.12.1001",
    codes={
        "363406005": "Malignant neoplasm of colon (disorder)",
        "363351006": "Malignant tumor of rectum (disorder)",
        "363510005": "Malignant tumor of large intestine (disorder)",
        "93761005": "Primary malignant neoplasm of colon (disorder)",
        "269533000": "Carcinoma of colon (disorder)",
        "1701000119104": "Primary adenocarcinoma of colon (disorder)",
        "254582000": "Adenocarcinoma of rectum (disorder)",
        "269544008": "Carcinoma of rectosigmoid junction (disorder)",
    },
)
TOTAL_COLECTOMY = ValueSet(
    name="total_colectomy",
    concept="Total Colectomy",
    oid="2.16.840.1.113883.3.464.1003.198.12.1019",
    codes={
        "26390003": "Total colectomy (procedure)",
        "787874000": "Laparoscopic total colectomy (procedure)",
        "307666008": "Total colectomy and ileostomy (procedure)",
        "456004": "Total abdominal colectomy with ileostomy (procedure)",
        "36192008": "Total abdominal colectomy with ileoproctostomy (procedure)",
        "787109009": "Excision of entire colon and entire rectum (procedure)",
    },
)
