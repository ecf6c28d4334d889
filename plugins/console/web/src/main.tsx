import { render } from "preact";
import { App } from "./app";
import { announceLanguage } from "./i18n";
import { startRouter } from "./router";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/content.css";
import "./styles/pages.css";
import "./styles/history.css";

startRouter();
announceLanguage();
render(<App />, document.body);
