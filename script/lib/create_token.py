"""Signs in to the pages at HOST:PORT, creates an API token and prints it.

    python3 create_token.py HOST:PORT EMAIL PASSWORD
"""

import re
import sys
import urllib.parse
import urllib.request


def main():
    address, email, password = sys.argv[1:]
    # The session cookie must survive redirects.
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())

    def post(path, **fields):
        body = urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(f"http://{address}{path}", body, {"Accept": "text/html"})
        with browser.open(request, timeout=30) as response:
            return response.read().decode()

    post("/sign-in", email=email, password=password)
    page = post("/account/tokens", name="Schemathesis", scope="write", days="7")
    print(re.search(r"bl_[\w-]{43}", page)[0])


if __name__ == "__main__":
    main()
