import unittest

from table_print import format_table


class FormatTableTest(unittest.TestCase):
    def test_numbers_are_aligned_to_the_right(self) -> None:
        self.assertEqual(
            format_table(["item", "stock"], [["nut", 100], ["washer", 7]]),
            "item    stock\n------  -----\nnut       100\nwasher      7",
        )

    def test_a_short_row_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "row 1 has 1 cells"):
            format_table(["item", "stock"], [["nut"]])


if __name__ == "__main__":
    unittest.main()
