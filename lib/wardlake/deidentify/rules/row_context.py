"""What rules may know of the row they work in: its table, its owner, its patient's date offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from wardlake.deidentify.rules.dates import offset_days
from wardlake.deidentify.rules.reference_data import ReferenceData
from wardlake.deidentify.token_columns.requests import Identifier, TokenColumns
from wardlake.model.errors import ConfigurationError
from wardlake.model.quoting import quote_name
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import DateShift, Decision, FormatToken, Generalise, Surrogate, Token


@dataclass(frozen=True, slots=True, kw_only=True)
class RowContext:
    """One table's context. `by` columns of rules are looked up here, and refused by name where they cannot serve."""

    table: TableSpec
    schema: StructType
    decisions: Mapping[str, Decision]
    tokens: TokenColumns
    references: ReferenceData
    as_of: date
    own_identifiers: Column | None = None  # the patient's, where free text is released
    known: dict[tuple[str, ...], Column] = field(default_factory=dict)  # digests that several rules of the row share

    def date_offset(self, rule: DateShift) -> Column:
        """The offset in days of the patient that the row is about; null where the row names none."""
        by = rule.by or self.table.patient
        if not by:
            raise ConfigurationError(
                what=f"Rule date_shift in table {self.table.name} has no patient to take the offset from.",
                next_step="Name the patient's column as `by`, or use date_year.",
            )
        key = ("date", by)
        if key not in self.known:
            domain = patient_domain(self.table.name, by, self.decisions)
            patient = Identifier(value=self._column(by), data_type=self.schema[by].dataType, domain=domain, column=by)
            self.known[key] = self.tokens.date_digest(patient)
        return offset_days(self.known[key], rule.days)

    def owner_digest(self, rule: Surrogate, value: Column, data_type: DataType, *, elements: bool) -> Column:
        """The digest of the person or body that a surrogate stands for."""
        itself = Identifier(value=value, data_type=data_type, domain=rule.domain, elements=elements)
        if not rule.by:
            return self.tokens.owner_digest(itself)
        key = ("owner", rule.by, rule.domain)
        if key not in self.known:
            named = self._column(rule.by)
            owner = Identifier(value=named, data_type=self.schema[rule.by].dataType, domain=rule.domain, column=rule.by)
            self.known[key] = self.tokens.owner_digest(owner)
        known = self.known[key]
        if not rule.by_if:
            return known
        holds = F.lit(True)
        for column, wanted in rule.by_if.items():
            holds = holds & (self._column(column).cast("string") == wanted)
        return F.when(holds, known).otherwise(self.tokens.owner_digest(itself))

    def is_withheld(self, rule: Generalise) -> Column:
        """Whether the row is one whose values the rule withholds; so is a row that does not say what it is."""
        withheld = F.lit(False)
        for column, values in rule.withhold_if.items():
            withheld = withheld | F.coalesce(self._column(column).cast("string").isin(*values), F.lit(True))
        return withheld

    def _column(self, name: str) -> Column:
        if name not in self.schema.names:
            raise ConfigurationError(
                what=f"A rule of table {self.table.name} names column {name}, which the table does not have."
            )
        return F.col(quote_name(name))


def patient_domain(table: str, by: str, decisions: Mapping[str, Decision]) -> str:
    """The token domain of the column that names the patient; a column without a token rule cannot name one."""
    decision = decisions.get(by)
    match decision.rule if decision else None:
        case Token() | FormatToken() as rule:
            return rule.domain
        case _:
            raise ConfigurationError(
                what=f"Dates of table {table} cannot be shifted by {table}.{by}: it has no token rule.",
                next_step=f"Give {table}.{by} the token rule of the patients' own key.",
            )
