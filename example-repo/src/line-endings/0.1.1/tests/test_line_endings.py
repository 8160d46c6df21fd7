import unittest

from line_endings import CR, CRLF, LF, convert, count


class LineEndingsTest(unittest.TestCase):
    def test_mixed_endings_are_counted_and_converted(self) -> None:
        self.assertEqual(count(b"a\nb\r\nc\r\nd\r"), {LF: 1, CRLF: 2, CR: 1})
        self.assertEqual(convert(b"a\nb\r\nc\r"), b"a\nb\nc\n")
        self.assertEqual(convert(b"a\nb\r\n", CRLF), b"a\r\nb\r\n")

    def test_wide_text_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "NUL"):
            convert("a\n".encode("utf-16"))


if __name__ == "__main__":
    unittest.main()
