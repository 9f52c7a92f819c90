"""Files of invoice lines are read in every form in which they are published."""

import gzip
import zipfile
from decimal import Decimal

import pytest

from merkato.replay.files import read
from merkato.replay.rows import Unfit

TEXT = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    '536365,22728,"CLOCK, £5",6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n'
)
SPACE = "http://schemas.openxmlformats.org"
KIND = f"{SPACE}/officeDocument/2006/relationships"
BOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"


def relationship(kind, target):
    return (
        f'<Relationships xmlns="{SPACE}/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{KIND}/{kind}" Target="{target}"/></Relationships>'
    )


PACKAGE = {
    "[Content_Types].xml": f'<Types xmlns="{SPACE}/package/2006/content-types">'
    f'<Override PartName="/xl/workbook.xml" ContentType="{BOOK}"/></Types>',
    "_rels/.rels": relationship("officeDocument", "xl/workbook.xml"),
    "xl/workbook.xml": f'<workbook xmlns="{SPACE}/spreadsheetml/2006/main" xmlns:r="{KIND}">'
    '<sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": relationship("worksheet", "worksheets/sheet1.xml"),
}


def sheet(*lines):
    """A worksheet: numbers as numbers, texts as texts."""

    def cell(value):
        if isinstance(value, int | float):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    rows = "".join(f"<row>{''.join(map(cell, line))}</row>" for line in lines)
    space = f"{SPACE}/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_csv(tmp_path, encoding, packed):
    file = tmp_path / ("x.csv.gz" if packed else "x.csv")
    content = TEXT.encode(encoding)
    file.write_bytes(gzip.compress(content) if packed else content)
    [row] = read(file)
    assert (row.description, row.price, row.customer) == ("CLOCK, £5", Decimal("2.55"), "17850")


def test_a_workbook(tmp_path):
    heading = TEXT.splitlines()[0].split(",")
    cells = [536365, "22728", "CLOCK", 6, "2010-12-01 08:26:00", 2.55, 17850, "France"]
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as package:
        for name, text in PACKAGE.items():
            package.writestr(name, text)
        package.writestr("xl/worksheets/sheet1.xml", sheet(heading, cells))
    [row] = read(tmp_path / "x.xlsx")
    assert (row.invoice, row.quantity, row.customer) == ("536365", 6, "17850")
    assert row.price == Decimal("2.55")


@pytest.mark.parametrize("name", ["x.csv.gz", "x.xlsx"])
def test_what_is_no_such_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(Unfit):
        list(read(tmp_path / name))


def test_half_a_file_is_refused(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(TEXT.encode())[:-20])
    with pytest.raises(Unfit):
        list(read(tmp_path / "x.csv.gz"))


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.xlsx"])
def test_no_file_is_said_in_the_usual_words(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / name))
