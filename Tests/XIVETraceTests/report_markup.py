"""Parses pages and pictures as strictly as parsers do.

usage: report_markup.py PAGE PICTURE...   exit 1, with the reason, when one is not well formed
"""

import collections
import json
import sys
import xml.etree.ElementTree

import html5lib


def page(path):
    text = open(path, encoding="utf-8").read()
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    ids = collections.Counter(e.get("id") for e in root.iter() if e.get("id"))
    repeated = [name for name, count in ids.items() if count > 1]
    assert not repeated, f"{path}: repeated ids {repeated}"
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not str(name).startswith("on"), f"{path}: {name}"
            if name in ("for", "aria-labelledby", "aria-describedby"):
                assert value in ids, f"{path}: nothing is called {value}"
            if name in ("src", "href"):
                assert value.startswith("#"), f"{path}: loads {value}"
    data = json.loads(root.find(".//script[@id='data']").text)
    print(len(data["pages"]), len(data["events"]))


def picture(path):
    root = xml.etree.ElementTree.parse(path).getroot()
    name = "{http://www.w3.org/2000/svg}"
    assert root.tag == name + "svg", root.tag
    assert all(element.tag.startswith(name) for element in root.iter())
    assert root.find(name + "title").text


page(sys.argv[1])
for path in sys.argv[2:]:
    picture(path)
