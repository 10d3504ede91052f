"""What editors and people do to a solved notebook, each as a function of the notebook: the answers stay right.

`first` and `second` are the grade_ids of two answers, `provided` that of a locked cell above the first.
"""

import copy

from nbformat import v4

from tito.services import notebooks


def place(node, name):
    return [notebooks.grade_id(cell) for cell in node.cells].index(name)


def take(node, name):
    return node.cells.pop(place(node, name))


def metadata_lost(node, first, second, provided):
    for cell in node.cells:
        cell.metadata = {}


def metadata_and_ids_lost(node, first, second, provided):
    for number, cell in enumerate(node.cells):
        cell.metadata, cell.id = {}, f"other-{number}"


def metadata_of_a_test_lost(node, first, second, provided):
    node.cells[place(node, f"test-{first}")].metadata = {}


def released_by_nbgrader(node, first, second, provided):
    for cell in node.cells:
        if notebooks.grading(cell):
            cell.metadata["nbgrader"].update(checksum="0123", cell_type=cell.cell_type)


def answer_as_markdown(node, first, second, provided):
    at = place(node, first)
    node.cells[at] = v4.new_markdown_cell(node.cells[at].source, metadata=node.cells[at].metadata)


def answer_as_raw(node, first, second, provided):
    at = place(node, second)
    node.cells[at] = v4.new_raw_cell(node.cells[at].source, metadata=node.cells[at].metadata)


def answer_split_between_definitions(node, first, second, provided):
    at = place(node, first)
    other = copy.deepcopy(node.cells[at])
    other.source, other.id = "def helper_of_a_student():\n    return 0", "other"
    node.cells.insert(at + 1, other)


def answer_split_within_a_function(node, first, second, provided):
    at = place(node, first)
    other = copy.deepcopy(node.cells[at])
    text = other.source.rstrip().split("\n")
    cut = next(number for number, line in enumerate(text) if line.startswith("def")) + 1
    node.cells[at].source, other.source, other.id = "\n".join(text[:cut]), "\n".join(text[cut:]), "other"
    node.cells.insert(at + 1, other)


def broken_copy_above(node, first, second, provided):
    at = place(node, first)
    other = copy.deepcopy(node.cells[at])
    lines = (line.split("return")[0] + "return 3" if "return" in line else line for line in other.source.split("\n"))
    other.source, other.id = "\n".join(lines), "other"
    node.cells.insert(at, other)


def answers_in_one_new_last_cell(node, first, second, provided):
    sources = [take(node, name).source for name in (first, second)]
    node.cells.append(v4.new_code_cell("\n\n".join(reversed(sources))))


def answers_in_new_cells_at_the_end(node, first, second, provided):
    node.cells += [v4.new_code_cell(take(node, name).source) for name in (second, first)]


def answer_merged_into_the_provided_cell(node, first, second, provided):
    node.cells[place(node, provided)].source += "\n\n" + take(node, first).source


def answer_merged_with_its_test_and_the_next_answer(node, first, second, provided):
    start, end = place(node, first), place(node, second)
    node.cells[start].source = "\n\n".join(cell.source for cell in node.cells[start : end + 1])
    del node.cells[start + 1 : end + 1]


def provided_cell_merged_into_the_answer(node, first, second, provided):
    locked = take(node, provided)
    node.cells[place(node, first)].source = locked.source + "\n\n" + node.cells[place(node, first)].source


def second_answer_in_the_cell_of_the_first(node, first, second, provided):
    node.cells[place(node, first)].source += "\n\n" + take(node, second).source


# situation: the kinds of change that are said, in any order
SITUATIONS = {
    metadata_lost: {"id"},
    metadata_and_ids_lost: {"text", "names", "place"},
    metadata_of_a_test_lost: {"id"},
    released_by_nbgrader: set(),
    answer_as_markdown: {"type"},
    answer_as_raw: {"type"},
    answer_split_between_definitions: {"split"},
    answer_split_within_a_function: {"split"},
    broken_copy_above: {"again"},
    answers_in_one_new_last_cell: {"pasted"},
    answers_in_new_cells_at_the_end: {"pasted"},
    answer_merged_into_the_provided_cell: {"pasted", "edited"},
    answer_merged_with_its_test_and_the_next_answer: {"pasted", "merged"},
    provided_cell_merged_into_the_answer: {"merged"},
    second_answer_in_the_cell_of_the_first: {"pasted"},
}
