import unittest

from slug_tools import slugify, unique_slugs


class SlugifyTest(unittest.TestCase):
    def test_titles(self) -> None:
        self.assertEqual(slugify("  Crème brûlée, à la carte! "), "creme-brulee-a-la-carte")
        self.assertEqual(slugify("Unit price (EUR)", separator="_"), "unit_price_eur")
        self.assertEqual(slugify("???"), "")


class UniqueSlugsTest(unittest.TestCase):
    def test_repeated_titles_are_numbered(self) -> None:
        self.assertEqual(
            unique_slugs(["Name", "name!", "", "?"]), ["name", "name-2", "untitled", "untitled-2"]
        )


if __name__ == "__main__":
    unittest.main()
