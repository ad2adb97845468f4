"""What codes mean to marts: SNOMED CT for conditions, procedures and visits, LOINC for observations, RxNorm for drugs, CVX for
vaccines.

Each set that an eCQM names is a selection of that value set: codes that the sample's practices use, and the usual ones beside
them. The whole of it is had from the Value Set Authority Center under a licence of one's own; `value_sets` in
`conf/practices/NAME.yaml` adds to a set, or replaces it, by its name.
"""
