"use strict";

/** The reader's language. The page's own texts are known by their English; a text of the data is a string, or one for
 * each language. A change is told as the event "language" of the document. */
const Words = (() => {
  const { chosen, languages, texts } = JSON.parse(document.getElementById("words").textContent);
  const names = { en: "English", zh: "中文" };
  const attributes = ["aria-label", "placeholder", "title"];
  let language = chosen;

  /** A text of the page, its {placeholders} filled. */
  function say(english, values = {}) {
    const said = texts[language]?.[english] ?? english;
    return said.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
  }

  /** The text as it is, marked: it is said where it is shown. */
  const text = (english) => english;

  /** A text of the data. */
  const of = (told) => (typeof told === "string" ? told : told[language] ?? told.en);

  /** Put the language into what the template and the drawings brought. */
  function apply(root) {
    for (const element of root.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
    for (const element of root.querySelectorAll("[data-en]")) {
      element.textContent = element.getAttribute(`data-${language}`) ?? element.getAttribute("data-en");
    }
    for (const name of attributes) {
      for (const element of root.querySelectorAll(`[data-say-${name}]`)) {
        element.setAttribute(name, say(element.getAttribute(`data-say-${name}`)));
      }
    }
  }

  function speak(wanted) {
    language = wanted;
    document.documentElement.lang = wanted;
    apply(document);
    document.dispatchEvent(new CustomEvent("language", { detail: wanted }));
  }

  /** Buttons for the languages, where there are several. */
  function offer(place) {
    for (const name of languages.length > 1 ? languages : []) {
      const button = document.createElement("button");
      button.type = "button";
      button.lang = name;
      button.textContent = names[name] ?? name;
      const mark = () => button.setAttribute("aria-pressed", String(name === language));
      button.addEventListener("click", () => speak(name));
      document.addEventListener("language", mark);
      mark();
      place.append(button);
    }
  }

  /** Of drawings that there are in every language, whether this one is the reader's. */
  const isRead = (drawing) => (drawing.dataset.language ?? language) === language;

  return { say, text, of, apply, isRead, offer, speak };
})();
