"""The demo application on a plain folder: `/usr/bin/python3 -m unittest -v` in this folder."""

import io
import os
import tempfile
import unittest
from unittest import mock
from urllib.parse import unquote, urlsplit

import app as demo

FOLDER_AT_START = demo.app.config["UPLOAD_FOLDER"]


class DemoApp(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = os.path.join(temporary.name, "uploads")
        self.enterContext(mock.patch.dict(demo.app.config, UPLOAD_FOLDER=self.folder))
        self.client = demo.app.test_client()

    def upload(self, name, content=b"content", **more):
        return self.client.post("/", data={"file": (io.BytesIO(content), name)}, **more)

    def upload_quoted(self, name, content=b"content"):
        """As curl sends it: quotes and backslashes in the name with a backslash before them."""
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        head = f'--border\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n\r\n'
        body = head.encode() + content + b"\r\n--border--\r\n"
        return self.client.post("/", data=body, content_type="multipart/form-data; boundary=border")

    def stored(self):
        return sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else []

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def test_the_front_page_shows_a_form_with_the_field_file(self):
        answer = self.client.get("/")
        self.assertEqual(answer.status_code, 200)
        self.assertIn('type="file" name="file"', answer.text)
        self.assertIn('method="post"', answer.text)

    def test_an_upload_is_written_as_sent_and_answered_with_its_address(self):
        content = os.urandom(230_720)
        answer = self.upload("Space_Duck.png", content)
        self.assertEqual(answer.status_code, 302)
        self.assertEqual(answer.location, "http://localhost/uploads/Space_Duck.png")
        self.assertEqual(self.read("Space_Duck.png"), content)
        served = self.client.get(answer.location)
        self.assertEqual(served.data, content)
        self.assertEqual(served.mimetype, "image/png")

    def test_an_empty_file_is_a_file(self):
        self.assertEqual(self.upload("empty.txt", b"").status_code, 302)
        self.assertEqual(self.read("empty.txt"), b"")

    def test_the_address_is_the_one_the_visitor_used(self):
        forwarded = {"X-Forwarded-Host": "photos.example.org", "X-Forwarded-Proto": "https"}
        answer = self.upload("cat.jpg", headers=forwarded)
        self.assertEqual(answer.location, "https://photos.example.org/uploads/cat.jpg")

    def test_the_same_name_again_replaces_the_file(self):
        self.upload("cat.jpg", b"a long first version")
        self.upload("cat.jpg", b"second")
        self.assertEqual(self.read("cat.jpg"), b"second")
        self.assertEqual(self.stored(), ["cat.jpg"])

    def test_allowed_extensions_count_in_any_case_and_only_the_last_one(self):
        for name in ("a.PNG", "b.Jpeg", "c.tar.txt", "d.exe.pdf"):
            self.assertEqual(self.upload(name).status_code, 302, name)

    def test_another_extension_shows_the_form_again_and_writes_nothing(self):
        for name in ("program.exe", "page.html", "picture.png.svg", "noextension", ".png", "png"):
            answer = self.upload(name)
            self.assertEqual(answer.status_code, 200, name)
            self.assertIn("was not saved", answer.text)
            self.assertIn("<form", answer.text)
        self.assertEqual(self.stored(), [])

    def test_a_form_without_the_field_is_a_400_that_says_so(self):
        answer = self.client.post("/", data={"other": "value"})
        self.assertEqual(answer.status_code, 400)
        self.assertIn("without a file", answer.text)
        self.assertIn("<form", answer.text)

    def test_a_form_with_no_file_chosen_is_a_400_that_says_so(self):
        answer = self.upload("", b"")
        self.assertEqual(answer.status_code, 400)
        self.assertIn("Choose a file", answer.text)
        self.assertEqual(self.stored(), [])

    def test_spaces_quotes_signs_and_every_script_stay_in_the_name(self):
        for name in (
            "Screenshot 2024-06-16 210546.png",
            "50% #1?+&=;,@!.txt",
            "it's.png",
            'a "quoted" name.gif',
            "Grüße aus Köln.pdf",
            "写真 ☃ 🦆.jpeg",
            "A\u030angstro\u0308m.txt",
            "%2e%2e%2f.txt",
        ):
            answer = self.upload_quoted(name, name.encode())
            self.assertEqual(answer.status_code, 302, name)
            address = urlsplit(answer.location)
            self.assertEqual(unquote(address.path), "/uploads/" + name)
            self.assertEqual((address.query, address.fragment), ("", ""))
            self.assertEqual(self.read(name), name.encode())
            self.assertEqual(self.client.get(answer.location).data, name.encode())

    def test_a_name_cannot_leave_the_folder_or_hide_in_it(self):
        self.assertEqual(demo.clean_name("../../etc/passwd.txt"), "passwd.txt")
        self.assertEqual(demo.clean_name("C:\\pictures\\cat.png"), "cat.png")
        self.assertEqual(demo.clean_name("...hidden.txt"), "hidden.txt")
        self.assertEqual(demo.clean_name(" . .x.txt"), "x.txt")
        self.assertEqual(demo.clean_name("a\r\nb\x00c\x7f\x85.txt"), "abc.txt")
        self.assertEqual(demo.clean_name("  padded.txt  "), "padded.txt")
        for nothing in ("", "..", "/", "...", "a/", " \t\n"):
            self.assertEqual(demo.clean_name(nothing), "")

    def test_a_name_too_long_for_a_file_keeps_its_extension(self):
        for letter in "xü写🦆":
            name = demo.clean_name(letter * 300 + ".jpeg")
            self.assertLessEqual(len(name.encode()), 255)
            self.assertGreater(len(name.encode()), 255 - 4)
            self.assertTrue(name.endswith(letter + ".jpeg"))
        self.assertEqual(len(demo.clean_name("y" * 255)), 255)
        self.assertEqual(self.upload("z" * 400 + ".txt").status_code, 302)
        self.assertEqual(self.stored(), ["z" * 251 + ".txt"])

    def test_the_front_page_shows_the_newest_files_first_and_pictures_as_pictures(self):
        for number in range(30):
            self.upload(f"picture {number}.png")
            os.utime(os.path.join(self.folder, f"picture {number}.png"), (1000 + number, 1000 + number))
        self.upload("notes.txt")
        os.mkdir(os.path.join(self.folder, "albums"))
        page = self.client.get("/").text
        self.assertIn("31 files, the newest", page)
        self.assertIn('<img src="/uploads/picture%2029.png"', page)
        self.assertNotIn('<img src="/uploads/notes.txt"', page)
        self.assertLess(page.index("picture 29.png"), page.index("picture 28.png"))
        self.assertNotIn("picture 2.png", page)
        self.assertNotIn("albums", page)

    def test_names_are_text_on_the_front_page(self):
        self.upload_quoted("<b>&\".txt")
        page = self.client.get("/").text
        self.assertIn("&lt;b&gt;&amp;&#34;.txt", page)
        self.assertNotIn("<b>", page)

    def test_files_in_subfolders_are_served_and_nothing_outside(self):
        os.makedirs(os.path.join(self.folder, "albums"))
        with open(os.path.join(self.folder, "albums", "1.txt"), "wb") as file:
            file.write(b"one")
        self.assertEqual(self.client.get("/uploads/albums/1.txt").data, b"one")
        for path in ("missing.txt", "albums", "../app.py", "%2e%2e/app.py", "a%00b.txt"):
            self.assertEqual(self.client.get("/uploads/" + path).status_code, 404, path)

    def test_ranges_and_unchanged_files_are_answered_as_the_web_expects(self):
        self.upload("digits.txt", b"0123456789")
        with self.client.get("/uploads/digits.txt", headers={"Range": "bytes=2-4"}) as part:
            self.assertEqual((part.status_code, part.data), (206, b"234"))
            tag = part.headers["ETag"]
        self.assertEqual(self.client.get("/uploads/digits.txt", headers={"If-None-Match": tag}).status_code, 304)

    def test_each_upload_is_logged(self):
        with self.assertLogs(demo.app.logger, "INFO") as logs:
            self.upload("a b.txt")
        self.assertIn(f'Saving uploaded file "a b.txt" to "{self.folder}/a b.txt"', logs.output[0])

    def test_when_the_folder_fails_the_visitor_is_told(self):
        trouble = OSError(5, "Input/output error")
        with mock.patch("werkzeug.datastructures.FileStorage.save", side_effect=trouble):
            with self.assertLogs(demo.app.logger, "ERROR"):
                answer = self.upload("lost.txt")
        self.assertEqual(answer.status_code, 500)
        self.assertIn("Input/output error", answer.text)

    @unittest.skipIf("FLASK_UPLOAD_FOLDER" in os.environ, "told otherwise")
    def test_the_folder_is_beside_the_program_unless_flask_is_told_otherwise(self):
        beside = os.path.join(os.path.dirname(os.path.realpath(demo.__file__)), "uploads")
        self.assertEqual(FOLDER_AT_START, beside)


if __name__ == "__main__":
    unittest.main()
