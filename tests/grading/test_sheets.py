"""CSV files of other programs: what is not changed comes back byte for byte, what is changed is read back."""

import codecs
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tito.errors import UsageError
from tito.services.grading.roster.sheets import Sheet

# what CSV is made of, and letters that are one, two and four bytes long
TEXTS = st.text(st.sampled_from(list("ab ,;\t\"'\n\r=é€\U0001f600")), max_size=8)
TABLES = st.lists(st.lists(TEXTS, min_size=1, max_size=4), min_size=1, max_size=5).filter(
    lambda rows: any(any(row) for row in rows) and any(cell.strip() for cell in rows[0])
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
QUOTING = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])


def written(rows, separator=",", line_end="\r\n", quoting=csv.QUOTE_MINIMAL):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting).writerows(rows)
    return text.getvalue()


def read(text, separator):
    """The rows of a text; an empty line is a row with an empty cell."""
    return [row or [""] for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)]


@given(TABLES, st.sampled_from([",", ";", "\t"]), st.sampled_from(["\r\n", "\n"]), ENCODINGS, QUOTING)
def test_a_sheet_in_which_nothing_changed_is_the_same_bytes(rows, separator, line_end, encoding, quoting):
    data = f"sep={separator}{line_end}{written(rows, separator, line_end, quoting)}".encode(encoding)
    assert Sheet(data, "x.csv").data == data


@given(TABLES, st.data(), st.sampled_from(["\r\n", "\n"]), ENCODINGS, QUOTING)
def test_cells_that_change_are_read_back_and_all_others_stay(rows, data, line_end, encoding, quoting):
    text = "sep=;" + line_end + written(rows, ";", line_end, quoting)
    sheet = Sheet(text.encode(encoding), "x.csv")
    expected = read(text, ";")[1:]
    places = {index: row for index, row in enumerate(expected) if any(row)}
    assert [[cell.value for cell in row.cells] for row in sheet.rows] == list(places.values())[1:]
    for row, index in zip(sheet.rows, list(places)[1:], strict=True):
        for column in data.draw(st.sets(st.integers(0, 5), max_size=3)):
            new = data.draw(TEXTS)
            if column >= len(row.cells) and not new:
                continue
            sheet.put(row, column, new)
            expected[index] += [""] * (column + 1 - len(expected[index]))
            expected[index][column] = new
    again = sheet.data.decode(encoding)
    assert read(again, ";")[1:] == expected
    assert Sheet(sheet.data, "x.csv").data == sheet.data


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n1,2",  # no line end at the end
        b"a,b\r1,2\r",
        b"a;b\n\n\n1;2\n;\n",
        codecs.BOM_UTF16_BE + "a,é\n1,2\n".encode("utf-16-be"),
        "a,é\n1,2\n".encode("cp1252"),
        b"a,\x81\n1,2\n",  # no letter of the western code page
        b'a,b\n ="1", " 2"\n',
    ],
)
def test_odd_files_come_back_as_they_were(data):
    assert Sheet(data, "x.csv").data == data


def test_a_changed_cell_keeps_quotes_and_gets_those_that_it_needs():
    sheet = Sheet(b'a,b,c\n"1",2,3\n', "x.csv")
    for column, text in enumerate(["4", "5,6", 'say "x"']):
        sheet.put(sheet.rows[0], column, text)
    assert sheet.data == b'a,b,c\n"4","5,6","say ""x"""\n'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\r\n,\r\n", "is empty"),
        (b"PK\x03\x04", "not CSV"),
        (b'a,b\n1,"2\n3,4\n', "line 2: a cell begins with a quotation mark"),
        (b'a,b\n1,"2"3\n', "line 2: a cell begins with a quotation mark"),
    ],
)
def test_what_is_no_csv_file(data, message):
    with pytest.raises(UsageError, match=message):
        Sheet(data, "x.csv")
