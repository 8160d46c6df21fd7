import unittest

from unit_convert import UnknownUnitError, convert


class ConvertTest(unittest.TestCase):
    def test_known_pairs(self) -> None:
        self.assertAlmostEqual(convert(1, "mi", "km"), 1.609344)
        self.assertAlmostEqual(convert(16, "oz", "lb"), 1.0)
        self.assertAlmostEqual(convert(90, "min", "h"), 1.5)

    def test_nonsense_is_refused(self) -> None:
        with self.assertRaises(UnknownUnitError):
            convert(1, "parsec", "m")
        with self.assertRaisesRegex(ValueError, "mass"):
            convert(1, "kg", "m")


if __name__ == "__main__":
    unittest.main()
