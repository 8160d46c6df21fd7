import unittest

from unit_convert import UnknownUnitError, convert, units


class ConvertTest(unittest.TestCase):
    def test_known_pairs(self) -> None:
        self.assertAlmostEqual(convert(1, "mi", "km"), 1.609344)
        self.assertAlmostEqual(convert(16, "oz", "lb"), 1.0)
        self.assertAlmostEqual(convert(90, "min", "h"), 1.5)

    def test_temperatures_have_their_own_zero(self) -> None:
        self.assertAlmostEqual(convert(100, "C", "F"), 212.0)
        self.assertAlmostEqual(convert(-40, "F", "C"), -40.0)
        self.assertAlmostEqual(convert(0, "K", "C"), -273.15)

    def test_units_are_listed_by_kind(self) -> None:
        self.assertEqual(units("volume"), ["gal", "l", "ml"])
        self.assertTrue(set(units("mass")) < set(units()))

    def test_nonsense_is_refused(self) -> None:
        with self.assertRaises(UnknownUnitError):
            convert(1, "parsec", "m")
        with self.assertRaisesRegex(ValueError, "mass"):
            convert(1, "kg", "m")


if __name__ == "__main__":
    unittest.main()
