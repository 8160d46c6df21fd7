import unittest

from csv_peek import Column, peek


class PeekTest(unittest.TestCase):
    def test_columns_and_rows(self) -> None:
        columns, rows = peek("Item,Unit price (EUR),Stock,Note\nnut,0.05,100,\nbolt,1,70,\n")
        self.assertEqual(len(rows), 2)
        self.assertEqual([column.type for column in columns], ["text", "float", "int", "empty"])

    def test_semicolons_and_repeated_titles(self) -> None:
        columns, rows = peek("Day;Temp;Temp\n1;20,5;21\n")
        self.assertEqual(columns[1:], [Column("Temp", "temp", "text"), Column("Temp", "temp_2", "int")])
        self.assertEqual(rows, [["1", "20,5", "21"]])

    def test_empty_file_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "empty"):
            peek("")


if __name__ == "__main__":
    unittest.main()
