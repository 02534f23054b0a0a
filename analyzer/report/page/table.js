/** A table of any length: only the rows that can be seen are in the page. It sorts by its columns' values.
 *
 * A column: {name, kind, cell(row) -> text or node, value(row) -> what to sort by, if it can be}. `rows` are numbers of
 * rows in the order shown. Keys move the row that is active; Enter or a click opens it. */
class Table {
  static #tables = 0;

  constructor(element, columns, { opened, moved = () => {}, describe = () => "" }) {
    this.element = element;
    this.columns = columns;
    this.opened = opened;
    this.moved = moved;
    this.describe = describe;
    this.rows = [];
    this.active = -1;
    this.chosen = -1;
    this.order = null;
    this.id = `table-${(Table.#tables += 1)}`;
    this.head = make("div", { class: "row head", role: "row" });
    this.body = make("div", { class: "body", role: "rowgroup" });
    element.setAttribute("role", "grid");
    element.replaceChildren(make("div", { role: "rowgroup", class: "top-row" }, this.head), this.body);
    element.addEventListener("scroll", () => this.#soon(), { passive: true });
    element.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#soon()).observe(element);
    window.addEventListener("beforeprint", () => this.#draw(200));
    document.addEventListener("language", () => this.refresh());
  }

  /** Show these rows, sorted as the reader last wished. */
  show(rows) {
    this.rows = rows;
    if (this.order) this.#sort();
    this.active = -1;
    this.element.setAttribute("aria-rowcount", String(rows.length + 1));
    this.refresh();
  }

  refresh() {
    this.head.replaceChildren(...this.columns.map((column, k) => this.#heading(column, k)));
    this.#draw();
  }

  /** Mark a row, and bring it into view. */
  choose(row, brings = true) {
    this.chosen = row;
    const place = this.rows.indexOf(row);
    if (place >= 0) {
      this.active = place;
      if (brings) this.#bring(place);
    }
    this.#draw();
  }

  get #height() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 34;
  }

  #heading(column, k) {
    const name = column.name ? Words.say(column.name) : "";
    const cell = make("div", { class: `cell ${column.kind ?? ""}`, role: "columnheader" });
    if (!column.value) {
      cell.textContent = name;
      return cell;
    }
    const isSorted = this.order?.column === k;
    cell.setAttribute("aria-sort", isSorted ? (this.order.down ? "descending" : "ascending") : "none");
    cell.append(make("button", { type: "button", tabindex: this.element.tabIndex, click: () => this.sort(k) }, name));
    return cell;
  }

  /** Sort by a column, the other way round where it is sorted by it. */
  sort(k) {
    const first = this.columns[k].down ?? false;
    const down = this.order?.column === k ? !this.order.down : first;
    this.order = { column: k, down };
    this.#sort();
    this.active = -1;
    this.element.scrollTop = 0;
    this.refresh();
  }

  #sort() {
    const { column, down } = this.order;
    const values = new Map();
    for (const row of this.rows) values.set(row, this.columns[column].value(row));
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    this.rows = Array.from(this.rows).sort(
      (a, b) => (down ? compare(values.get(b), values.get(a)) : compare(values.get(a), values.get(b))) || a - b,
    );
  }

  #soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.#draw();
    });
  }

  #draw(least = 0) {
    const height = this.#height;
    const top = Math.max(0, this.element.scrollTop - this.head.offsetHeight);
    const first = Math.max(0, Math.floor(top / height) - 4);
    const room = Math.max(Math.ceil(this.element.clientHeight / height) + 8, least);
    const last = Math.min(this.rows.length, first + room);
    this.body.style.height = `${this.rows.length * height}px`;
    const drawn = [];
    for (let place = first; place < last; place += 1) drawn.push(this.#row(place, height));
    this.body.replaceChildren(...drawn);
    const active = this.active >= first && this.active < last ? `${this.id}-${this.active}` : null;
    if (active) this.element.setAttribute("aria-activedescendant", active);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #row(place, height) {
    const row = this.rows[place];
    const classes = ["row", place === this.active && "active", row === this.chosen && "chosen", this.describe(row)];
    const element = make(
      "div",
      {
        class: classes.filter(Boolean).join(" "), role: "row", id: `${this.id}-${place}`, "aria-rowindex": place + 2,
        "aria-selected": String(row === this.chosen), click: () => this.#open(place),
      },
      ...this.columns.map((column) => make("div", { class: `cell ${column.kind ?? ""}`, role: "gridcell" }, column.cell(row))),
    );
    element.style.top = `${place * height}px`;
    return element;
  }

  #bring(place) {
    const height = this.#height;
    const top = place * height;
    const room = this.element.clientHeight - this.head.offsetHeight;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + height > this.element.scrollTop + room) this.element.scrollTop = top + height - room;
  }

  #open(place) {
    this.active = place;
    this.opened(this.rows[place]);
    this.#draw();
  }

  #key(event) {
    if (event.target !== this.element) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.#height) - 2);
    const last = this.rows.length - 1;
    const places = {
      ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page, PageUp: this.active - page,
      Home: 0, End: last,
    };
    if (event.key === "Enter" && this.active >= 0) this.#open(this.active);
    else if (event.key in places && last >= 0) {
      this.active = Math.min(last, Math.max(0, places[event.key]));
      this.#bring(this.active);
      this.moved(this.rows[this.active]);
      this.#draw();
    } else return;
    event.preventDefault();
  }
}
