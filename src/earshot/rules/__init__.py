"""The rule language: one meaning on live posts, stored posts and files (grammar: `grammar.py`)."""

from earshot.rules.compile import CompiledRules, compile_rules, is_late
from earshot.rules.format import format_rule
from earshot.rules.highlight import spans
from earshot.rules.match import HITS, match, matches
from earshot.rules.nodes import Node
from earshot.rules.parse import parse
from earshot.rules.plan import plan

__all__ = ["HITS", "CompiledRules", "Node", "compile_rules", "format_rule", "is_late"]
__all__ += ["match", "matches", "parse", "plan", "spans"]
