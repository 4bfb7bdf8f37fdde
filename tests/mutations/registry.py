"""All mutations."""

from __future__ import annotations

import source_mutations
import stack_mutations

MUTATIONS = (*stack_mutations.MUTATIONS, *source_mutations.MUTATIONS)
