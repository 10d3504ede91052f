"""Sphinx's settings for the course's site. Its sources are generated: see tito/services/site."""

project = "TinyTorch"
extensions = ["myst_parser", "sphinx.ext.mathjax"]
highlight_language = "none"

# what JupyterLab shows is what the page shows: of MyST's own syntax only directives are read
myst_enable_extensions = ["dollarmath"]
myst_disable_syntax = ["myst_block_break", "myst_line_comment", "myst_role", "myst_target"]
myst_heading_anchors = 4

# one file of the site's own, with the glyphs inside, so that nothing is fetched from elsewhere
mathjax_path = "mathjax/tex-svg.js"

html_theme = "pydata_sphinx_theme"
html_title = "TinyTorch"
html_static_path = ["_static"]
html_css_files = ["tokens.css", "site.css"]
html_js_files = ["site.js"]
html_sidebars = {"**": ["sidebar-nav-bs"], "measured": [], "search": []}
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_search_summary = False  # a page in a folder may not read its neighbours
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "pygments_dark_style": "github-dark-high-contrast",
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": [],
    "footer_end": [],
}
