"""A person who uses the page on metaclusters in a browser."""

LIMIT_S = 180
"""How long a person waits for the page, on a machine that may be at other work."""

# Where the frame of a figure is on the screen.
FRAME = """name => {
  for (const document of Bokeh.documents) {
    const figure = document.get_model_by_name(name)
    if (figure != null) {
      const view = Bokeh.index.find_one_by_id(figure.id)
      const box = view.el.getBoundingClientRect()
      const {left, top, width, height} = view.frame.bbox
      return [box.left + left, box.top + top, width, height]
    }
  }
}"""

TEXT = """pane => [...pane.shadowRoot.children]
  .filter((part) => part.tagName == "DIV").map((part) => part.innerText).join(" ")"""


class Person:
    """Uses the page."""

    def __init__(self, browser):
        self.complaints = []
        self.page = browser.new_page(viewport={"width": 1500, "height": 1000})
        self.page.set_default_timeout(1000 * LIMIT_S)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._see)

    def open(self, url):
        self.page.goto(url)
        self.wait_for_the_page()
        return self

    def wait_for_the_page(self):
        self.page.wait_for_selector(".title-bar")
        self.settled("metaclusters-heat")

    def settled(self, name, *, looks=3):
        """Where the frame of a figure is, when it has been in one place for some looks."""
        places = []
        while len(places) < looks or None in places or len(set(places)) > 1:
            frame = self.frame(name)
            places = [*places, frame and tuple(frame)][-looks:]
            self.page.wait_for_timeout(100)
        return places[-1]

    def _hear(self, message):
        if "view was already destroyed" in message.text:
            return  # Bokeh 3.10 says so of its own texts when figures are laid out anew
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _see(self, request):
        if not request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            self.complaints.append(f"asked {request.url}")

    def happens(self, condition, *, limit_s):
        """Whether it comes to hold; what the page shows follows a click by some milliseconds."""
        for _ in range(10 * limit_s):
            if condition():
                return True
            self.page.wait_for_timeout(100)
        return False

    def wait(self, condition, *, limit_s=LIMIT_S):
        """Until it holds."""
        if self.happens(condition, limit_s=limit_s):
            return
        there = self.page.locator(".message").count() > 0  # to ask for its text would wait for it
        told = self.text("message") if there else "nothing"
        raise AssertionError(f"it did not happen; the page says {told!r}")

    def frame(self, name):
        return self.page.evaluate(FRAME, name)

    def source(self, name, key):
        """A column behind the figure of that name."""
        code = """([name, key]) => {
          for (const document of Bokeh.documents) {
            const figure = document.get_model_by_name(name)
            if (figure != null) {
              const has = (renderer) => renderer.data_source.data[key] != null
              return [...figure.renderers.find(has).data_source.data[key]]
            }
          }
        }"""
        return self.page.evaluate(code, [name, key])

    def names(self):
        return self.source("metaclusters-counts", "label")

    def text(self, name):
        return self.page.locator(f".{name}").first.evaluate(TEXT).strip()

    def click_column(self, block, label, **more):
        self.page.mouse.click(*self.column(block, label), **more)

    def column(self, block, label):
        """The middle of a column on the screen."""
        left, top, width, height = self.settled(f"{block}-heat")
        labels = self.source(f"{block}-counts", "label")
        x = left + width * (labels.index(label) + 0.5) / len(labels)
        return x, top + height / 2

    def press(self, name):
        self.page.locator(f".{name} button").first.click()

    def choose(self, name, label):
        self.page.locator(f".{name} select").select_option(label=label)

    def write(self, name, text):
        field = self.page.locator(f".{name} input")
        field.fill("")
        field.type(text)

    def call(self, old, new):
        self.choose("who", old)
        self.wait(lambda: self.page.locator(".name input").input_value() == old)
        self.write("name", new)

    def rename(self, old, new):
        self.call(old, new)
        self.wait(lambda: self.page.locator(".rename button").is_enabled())
        self.press("rename")
        self.wait(lambda: new in self.names())

    def wait_for_the_table(self):
        self.wait(
            lambda: "saved at" in self.text("status") and "follows" not in self.text("status")
        )
