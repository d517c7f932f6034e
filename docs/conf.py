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
    "sphinx_copybutton",
    "command_reference",
    "dialect_table",
    "public_names",
    "table_labels",
]
html_theme = "furo"
html_title = "change_hooks"
html_static_path = ["_static"]
html_css_files = ["phone.css"]
man_pages = [("reference/command-line", "change-hooks", "receive the webhooks of code forges", [], 1)]
smartquotes = False  # Quotes and pairs of hyphens must stay as they are typed.
copybutton_prompt_text = "$ "
exclude_patterns = ["_build", "examples"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
nitpicky = True
# Other projects have no pages here. Names without a module come from annotations. The rest is private.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(collections|cryptography|_?io|ipaddress|msgspec|pathlib|re|treq|twisted|typing|typing_extensions|zope)\..*",
    ),
    (r"py:(class|data)", r"~?\w+"),
    (r"py:.*", r"change_hooks\.(config|forges|intake|journal|pollers\.base|sinks\.program|vcs|web)\..*"),
    (
        r"py:.*",
        r"change_hooks\.core\.(found|lenient|policy|recovering|screening|stored|tracing|verdicts)(\..*)?",
    ),
    (r"py:class", r"change_hooks\.core\.payload\.T|change_hooks\.dialects\.(event_handler|methods)\.\w+"),
    (r"py:.*", r".*\._\w+"),
]
