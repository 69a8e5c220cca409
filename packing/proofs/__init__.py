"""What can be proved of a code that a search found: certificates, existence, exact numbers."""

from __future__ import annotations
