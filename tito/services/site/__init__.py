"""The course's site, made from what the course is: READMEs, module sources, docstrings and what the reference shows.

links: where a link of the repository leads on the site. path: the learning path as a list. module_page: a module's
README and its notebook as handed out. milestone_page: a milestone's README and the report of a run. reference: the API,
from docstrings. sources: every page as Sphinx reads it. page_text: what a built page shows, searched for answers.
build: all of it, in order. serve: the built pages over HTTP.
"""
