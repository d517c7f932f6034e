"""How Sphinx builds these pages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "change_hooks"
copyright = "2026, the change_hooks authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "command_reference",
    "dialect_table",
]
html_theme = "furo"
html_title = "change_hooks"
man_pages = [("reference/command-line", "change-hooks", "receive the webhooks of code forges", [], 1)]
exclude_patterns = ["_build", "examples"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
# Names of other projects and of private types have no page here.
nitpicky = False
