"""A browser without JavaScript: pages, cookies, and forms that are filled and sent."""

from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp


class Form:
    """A form of a page: where it goes, and its fields as they are."""

    def __init__(self, attributes):
        self.action, self.method = attributes.get("action"), attributes.get("method", "get")
        self.fields, self.buttons = {}, {}


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms, self.links, self.words = [], {}, []
        self._form = self._select = self._button = self._link = self._text = None
        self._inside = []

    def handle_starttag(self, tag, pairs):
        given = dict(pairs)
        if tag == "form":
            self._form = Form(given)
            self.forms.append(self._form)
        elif tag == "input" and self._form is not None and given.get("name"):
            self._input(given)
        elif tag == "select" and self._form is not None:
            self._select = given.get("name")
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in self._form.fields:
                self._form.fields[self._select] = given.get("value", "")
        elif tag == "textarea" and self._form is not None:
            self._text = (given["name"], [])
        elif tag == "button":
            self._button = (given, [])
        elif tag == "a":
            self._link = (given.get("href"), [])

    def _input(self, given):
        kind = given.get("type", "text")
        if kind not in ("radio", "checkbox"):
            self._form.fields[given["name"]] = given.get("value", "")
        elif "checked" in given:
            self._form.fields[given["name"]] = given.get("value", "on")

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea" and self._text is not None:
            name, words = self._text
            self._form.fields[name] = "".join(words)
            self._text = None
        elif tag == "button" and self._button is not None:
            given, words = self._button
            if self._form is not None:
                self._form.buttons["".join(words).strip()] = given
            self._button = None
        elif tag == "a" and self._link is not None:
            self.links.setdefault("".join(self._link[1]).strip(), self._link[0])
            self._link = None

    def handle_data(self, data):
        self.words.append(data)
        for open_one in (self._button, self._link, self._text):
            if open_one is not None:
                open_one[1].append(data)


class Page:
    """A page as it came."""

    def __init__(self, status, url, headers, text):
        self.status, self.url, self.headers, self.html = status, url, headers, text
        reader = _Reader()
        reader.feed(text)
        self.forms, self.links = reader.forms, reader.links
        self.words = " ".join(" ".join(reader.words).split())

    def __repr__(self):
        return f"<{self.status} {self.url} {self.words[:600]!r}>"


class Browser:
    """One person's browser."""

    def __init__(self, base_url, language="en"):
        self.base_url = base_url
        jar = aiohttp.CookieJar(unsafe=True)
        self.session = aiohttp.ClientSession(cookie_jar=jar, headers={"accept-language": language})
        self.page = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def go(self, path, method="GET", **more):
        """Open a page, following what leads on."""
        url = urljoin(self.page.url if self.page else self.base_url, path)
        async with self.session.request(method, url, **more) as response:
            text = await response.text()
            self.page = Page(response.status, str(response.url), response.headers, text)
        return self.page

    async def follow(self, words):
        return await self.go(self.page.links[words])

    async def send_file(self, button, name, file, **values):
        """Fill the form that has a button, with a file (its name and bytes), and press that."""
        form = next(one for one in self.page.forms if button in one.buttons)
        parts = aiohttp.FormData()
        for field, value in {**form.fields, **values}.items():
            if field != name:
                parts.add_field(field, value)
        parts.add_field(name, file[1], filename=file[0], content_type="application/octet-stream")
        return await self.go(form.action, "POST", data=parts)

    async def press(self, button, **values):
        """Fill the form that has a button and press that; None leaves a field out."""
        form = next(one for one in self.page.forms if button in one.buttons)
        given = form.buttons[button]
        fields = {**form.fields, **values}
        if given.get("name"):
            fields[given["name"]] = given.get("value", "")
        fields = {name: value for name, value in fields.items() if value is not None}
        action = form.action or self.page.url
        if form.method == "get":
            return await self.go(f"{urlsplit(action).path}?{urlencode(fields)}")
        return await self.go(action, "POST", data=fields)
