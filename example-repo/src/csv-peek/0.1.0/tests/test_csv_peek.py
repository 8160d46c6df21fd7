import unittest

from csv_peek import Column, peek


class PeekTest(unittest.TestCase):
    def test_columns_and_rows(self) -> None:
        columns, rows = peek(["Item,Unit price (EUR),Stock,Note\n", "nut,0.05,100,\n", "bolt,1,70,\n"])
        self.assertEqual(rows, 2)
        self.assertEqual(
            columns,
            [
                Column("Item", "item", "text"),
                Column("Unit price (EUR)", "unit_price_eur", "float"),
                Column("Stock", "stock", "int"),
                Column("Note", "note", "empty"),
            ],
        )


if __name__ == "__main__":
    unittest.main()
