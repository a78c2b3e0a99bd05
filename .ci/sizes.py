"""Prints two tables about the Rust crates below a directory: the product and its tests.

A line is code if it holds anything beside a comment. Tests are the files below a crate's `tests` and
`benches`, the crate integration-tests, items marked `#[cfg(test)]` and the files of modules marked so.
A function's length counts from `fn` to its last brace, without its documentation.
"""

import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import tree_sitter_rust
from tree_sitter import Language, Parser

PARSER = Parser(Language(tree_sitter_rust.language()))
TEST_CRATES = {"tests", "tests/fuzz"}
TEST_DIRECTORIES = {"tests", "benches"}
ATTRIBUTES_AND_COMMENTS = {"attribute_item", "line_comment", "block_comment"}


@dataclass
class Size:
    """The counts of one crate, of its product or of its tests."""

    files: int = 0
    code: int = 0
    comments: int = 0
    blank: int = 0
    tests: int = 0
    longest_file: tuple = (0, "")
    longest_function: tuple = (0, "")


@dataclass
class File:
    """The results of the parser for one file."""

    lines: int
    code: set = field(default_factory=set)
    comments: set = field(default_factory=set)
    test_lines: set = field(default_factory=set)
    test_modules: list = field(default_factory=list)
    functions: list = field(default_factory=list)
    tests: int = 0


def attributes_of(node):
    """Returns the texts of the attributes before an item, and the row of its first comment or attribute."""
    texts, first, previous = [], node.start_point.row, node.prev_named_sibling
    while previous is not None and previous.type in ATTRIBUTES_AND_COMMENTS:
        if previous.type == "attribute_item":
            texts.append(previous.text.decode())
        first = previous.start_point.row
        previous = previous.prev_named_sibling
    return texts, first


def rows_of(node):
    """Returns the rows of a node. A documentation comment includes its line feed."""
    last = node.end_point.row - (node.end_point.column == 0)
    return range(node.start_point.row, last + 1)


def visit(node, file):
    """Adds the content of a node to the counts of its file."""
    if node.type in ("line_comment", "block_comment"):
        file.comments.update(rows_of(node))
        return
    if node.type in ("function_item", "mod_item", "use_declaration", "impl_item", "const_item"):
        attributes, first = attributes_of(node)
        if node.type == "function_item":
            name = node.child_by_field_name("name").text.decode()
            file.functions.append((node.end_point.row - node.start_point.row + 1, name, node.start_point.row))
            file.tests += any(text.endswith("test]") or "::test(" in text for text in attributes)
        if any(text.replace(" ", "") == "#[cfg(test)]" for text in attributes):
            file.test_lines.update(range(first, node.end_point.row + 1))
            if node.type == "mod_item" and node.child_by_field_name("body") is None:
                paths = [text.split('"')[1] for text in attributes if text.startswith("#[path")]
                file.test_modules.append(paths[0] if paths else node.child_by_field_name("name").text.decode())
    if node.type == "macro_invocation" and node.text.startswith(b"proptest!"):
        file.tests += node.text.count(b"#[test]")
    if node.child_count == 0 or node.type in ("string_literal", "raw_string_literal"):
        file.code.update(rows_of(node))
    for child in node.children:
        visit(child, file)


def read(path):
    """Parses one file."""
    source = path.read_bytes()
    file = File(lines=source.count(b"\n"))
    tree = PARSER.parse(source)
    for child in tree.root_node.children:
        visit(child, file)
    return file


def module_files(path, name):
    """Returns the prefix that the files of a child module share. The name may be that of a `path` attribute."""
    if name.endswith(".rs"):
        return path.parent / name
    is_root = path.name in ("mod.rs", "lib.rs", "main.rs")
    return (path.parent if is_root else path.with_suffix("")) / name


def is_below(path, module):
    """Returns whether a file belongs to a module."""
    return path in (module, module.with_suffix(".rs")) or module in path.parents


def add(size, file, rows, path, is_test):
    """Adds the rows of a file to the counts of a crate."""
    code = file.code & rows
    size.files += 1
    size.code += len(code)
    size.comments += len((file.comments & rows) - code)
    size.blank += len(rows - file.code - file.comments)
    size.tests += file.tests if is_test else 0
    size.longest_file = max(size.longest_file, (len(rows), path))
    for length, name, row in file.functions:
        if row in rows:
            size.longest_function = max(size.longest_function, (length, f"{name} in {path}"))


def measure(root):
    """Returns the sizes of all crates: those of the product and those of the tests."""
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True).stdout.split()
    crates = sorted((Path(name).parent for name in listed if name.endswith("/Cargo.toml")),
                    key=lambda crate: -len(crate.parts))
    files = {Path(name): read(root / name)
             for name in listed if name.endswith(".rs") and (root / name).exists()}
    test_modules = [module_files(path, name) for path, file in files.items() for name in file.test_modules]
    product, tests = defaultdict(Size), defaultdict(Size)
    for path, file in files.items():
        crate = next(crate for crate in crates if crate in path.parents)
        is_test = (str(crate) in TEST_CRATES
                   or path.relative_to(crate).parts[0] in TEST_DIRECTORIES
                   or any(is_below(path, module) for module in test_modules))
        rows = set(range(file.lines))
        test_rows = rows if is_test else file.test_lines
        if rows - test_rows:
            add(product[str(crate)], file, rows - test_rows, str(path.relative_to(crate)), False)
        if test_rows:
            add(tests[str(crate)], file, test_rows, str(path.relative_to(crate)), True)
    return product, tests


def print_table(title, sizes, with_tests):
    """Prints one table, with a sum of the columns that have one."""
    numbers = ["files", "code", "comments", "blank"] + ["tests"] * with_tests
    rows = [[title, *numbers, "longest file", "longest function"]]
    for crate, size in sorted(sizes.items()):
        longest = [f"{length} {what}" for length, what in (size.longest_file, size.longest_function)]
        rows.append([crate, *(str(getattr(size, number)) for number in numbers), *longest])
    total = (str(sum(getattr(size, number) for size in sizes.values())) for number in numbers)
    rows.append(["all", *total, "", ""])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) if 0 < column <= len(numbers) else cell.ljust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())


product, tests = measure(Path(sys.argv[1]))
print_table("product", product, False)
print()
print_table("tests", tests, True)
