"""Of screening for depression: its instruments, what they find, and what follows."""

from __future__ import annotations

from wardlake.practices.marts.value_sets.value_set import ValueSet

BIPOLAR = ValueSet(
    name="bipolar",
    concept="Bipolar Disorder",
    oid="2.16.840.1.113883.3.67.1.101.1.128",
    codes={
        "13746004": "Bipolar disorder (disorder)",
        "371596008": "Bipolar I disorder (disorder)",
        "83225003": "Bipolar II disorder (disorder)",
        "16506000": "Mixed bipolar I disorder (disorder)",
        "68569003": "Manic bipolar I disorder (disorder)",
        "49468007": "Depressed bipolar I disorder (disorder)",
        "85248005": "Bipolar disorder in remission (disorder)",
    },
)
ADOLESCENT_SCREENING = ValueSet(
    name="adolescent_depression_screening", codes={"73831-0": "Adolescent depression screening assessment"}
)
ADULT_SCREENING = ValueSet(name="adult_depression_screening", codes={"73832-8": "Adult depression screening assessment"})
PHQ_2 = ValueSet(name="phq_2", codes={"55758-7": "Patient Health Questionnaire 2 item (PHQ-2) total score [Reported]"})
PHQ_9 = ValueSet(name="phq_9", codes={"44261-6": "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]"})
PHQ_9_TEENS = ValueSet(
    name="phq_9_teens",
    codes={"89204-2": "Patient Health Questionnaire-9: Modified for Teens total score [Reported.PHQ.Teen]"},
)
SCREENING_NEGATIVE = ValueSet(
    name="depression_screening_negative", codes={"428171000124102": "Depression screening negative (finding)"}
)
SCREENING_POSITIVE = ValueSet(
    name="depression_screening_positive", codes={"428181000124104": "Depression screening positive (finding)"}
)
SCREENING_DECLINED = ValueSet(
    name="depression_screening_declined", codes={"720834000": "Depression screening declined (situation)"}
)
FOLLOW_UP = ValueSet(
    name="depression_follow_up",
    concept="Follow Up for Adult, and for Adolescent Depression",
    oid="2.16.840.1.113883.3.526.3.1568",
    codes={
        "88848003": "Psychiatric follow-up (procedure)",
        "768835002": "Depression care management (procedure)",
        "75516001": "Psychotherapy (regime/therapy)",
        "18512000": "Individual psychotherapy (regime/therapy)",
        "76168009": "Group psychotherapy (regime/therapy)",
        "228557008": "Cognitive and behavioral therapy (regime/therapy)",
        "410225009": "Mental health care management (procedure)",
        "410234004": "Management of mental health treatment (procedure)",
        "401277000": "Completion of mental health crisis plan (procedure)",
        "425604002": "Case management follow up (procedure)",
    },
)
REFERRAL = ValueSet(
    name="depression_referral",
    concept="Referral for Adult, and for Adolescent Depression",
    oid="2.16.840.1.113883.3.526.3.1571",
    codes={
        "183524004": "Referral to psychiatry service (procedure)",
        "308477009": "Referral to psychiatrist (procedure)",
        "308459004": "Referral to psychologist (procedure)",
        "183583007": "Refer to mental health worker (procedure)",
        "390866009": "Referral to mental health team (procedure)",
        "306226009": "Referral to mental health counseling service (procedure)",
        "306227000": "Referral for mental health counseling (procedure)",
        "306252003": "Referral to mental health counselor (procedure)",
        "711281004": "Referral to support group (procedure)",
    },
)
ADOLESCENT_DRUGS = ValueSet(
    name="adolescent_depression_drugs",
    concept="Adolescent Depression Medications",
    oid="2.16.840.1.113883.3.526.3.1567",
    codes={
        "310384": "fluoxetine 10 MG Oral Capsule",
        "310385": "fluoxetine 20 MG Oral Capsule",
        "313989": "fluoxetine 40 MG Oral Capsule",
        "349332": "escitalopram 10 MG Oral Tablet",
        "351250": "escitalopram 20 MG Oral Tablet",
        "312941": "sertraline 50 MG Oral Tablet",
        "312938": "sertraline 100 MG Oral Tablet",
        "200371": "citalopram 20 MG Oral Tablet",
        "309314": "citalopram 40 MG Oral Tablet",
    },
)
ADULT_DRUGS = ValueSet(
    name="adult_depression_drugs",
    concept="Adult Depression Medications",
    oid="2.16.840.1.113883.3.526.3.1566",
    codes={
        **ADOLESCENT_DRUGS.codes,
        "311725": "mirtazapine 15 MG Oral Tablet",
        "314111": "mirtazapine 30 MG Oral Tablet",
        "313586": "venlafaxine 75 MG Oral Tablet",
        "596930": "duloxetine 30 MG Delayed Release Oral Capsule",
        "596934": "duloxetine 60 MG Delayed Release Oral Capsule",
    },
)
