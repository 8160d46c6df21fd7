import unittest

from csv_report import report


class ReportTest(unittest.TestCase):
    def test_each_column_has_a_line(self) -> None:
        lines = ["name,town", "Emilie,Ghent", "Bob,Ghent"]
        self.assertEqual(
            list(report(lines)), ["2 rows", "name: 2 values, 'Emilie' 1 times", "town: 1 values, 'Ghent' 2 times"]
        )

    def test_an_empty_file_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            list(report([]))


if __name__ == "__main__":
    unittest.main()
