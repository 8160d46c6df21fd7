import unittest

from slug_tools import slugify


class SlugifyTest(unittest.TestCase):
    def test_titles(self) -> None:
        self.assertEqual(slugify("  Crème brûlée, à la carte! "), "creme-brulee-a-la-carte")
        self.assertEqual(slugify("Unit price (EUR)", separator="_"), "unit_price_eur")
        self.assertEqual(slugify("???"), "")


if __name__ == "__main__":
    unittest.main()
