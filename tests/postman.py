"""Runs a Postman collection without Postman: variables, and two kinds of lines in scripts."""

import re
from uuid import uuid4

from harness import Answer

EXPECTS = re.compile(r'pm\.test\(".*", \(\) => pm\.response\.to\.have\.status\((\d+)\)\);')
KEEPS = re.compile(r'pm\.collectionVariables\.set\("(\w+)", pm\.response\.json\(\)\.(.+)\);')
PLACE = re.compile(r"(\w+)|\[(\d+)\]")


class Runner:
    """Sends the requests of a collection, one after the other."""

    def __init__(self, collection, session, **variables):
        self.collection, self.session = collection, session
        self.variables = {one["key"]: one["value"] for one in collection["variable"]} | variables

    def filled(self, text):
        """Put variables in; one that is not declared is an error."""
        return re.sub(
            r"\{\{(\$?\w+)\}\}",
            lambda found: str(uuid4()) if found[1] == "$guid" else str(self.variables[found[1]]),
            text,
        )

    def url(self, url):
        """Write the address as Postman does: host, segments with their values, enabled queries."""
        values = {one["key"]: one["value"] for one in url["variable"]}
        segments = [values[part[1:]] if part.startswith(":") else part for part in url["path"]]
        asked = [f"{one['key']}={one['value']}" for one in url["query"] if not one["disabled"]]
        raw = "/".join([*url["host"], *segments]) + ("?" + "&".join(asked) if asked else "")
        return self.filled(raw)

    async def send(self, item):
        """Send one request, run its script, and give the answer."""
        request = item["request"]
        headers = {
            one["key"]: self.filled(one["value"])
            for one in request["header"]
            if not one.get("disabled")
        }
        auth = request.get("auth", self.collection["auth"])
        if auth["type"] == "bearer":
            headers["Authorization"] = "Bearer " + self.filled(auth["bearer"][0]["value"])
        body = self.filled(request["body"]["raw"]).encode() if "body" in request else None
        async with self.session.request(
            request["method"], self.url(request["url"]), data=body, headers=headers,
            allow_redirects=False,
        ) as response:  # fmt: skip
            endless = response.content_type == "text/event-stream"
            content = b"" if endless else await response.read()
            answer = Answer(response.status, response.headers, content)
        for event in item.get("event", ()):
            for line in event["script"]["exec"]:
                self._do(line, answer)
        return answer

    def _do(self, line, answer):
        if expected := EXPECTS.fullmatch(line):
            assert answer.status == int(expected[1]), answer
        elif kept := KEEPS.fullmatch(line):
            value = answer.json()
            for name, number in PLACE.findall(kept[2]):
                value = value[int(number) if number else name]
            self.variables[kept[1]] = value
        else:
            raise AssertionError(f"a line this runner does not know: {line}")
