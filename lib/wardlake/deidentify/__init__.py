"""Rules as column expressions: tokens, dates, geography, surrogates, free text, subsets."""
