"""The words of Wardlake: identifiers, zones, treatments, audit events, errors. Standard library only."""
