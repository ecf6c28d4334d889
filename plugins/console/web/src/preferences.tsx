// What a reader sets for this browser, and the way out.
import { ApiError } from "./api";
import { language, LANGUAGES, setLanguage, t, type TextKey } from "./i18n";
import { go } from "./router";
import { logOut } from "./session";
import { setTheme, theme, useWatched, type Theme } from "./store";
import { toast } from "./ui";

export async function leave(): Promise<void> {
  try {
    await logOut();
    go("/");
  } catch (error) {
    if (error instanceof ApiError && error.status !== 401) toast(error.message || t("error.offline"));
  }
}

/** The two switches: theme and language. */
export function Preferences() {
  const chosen = useWatched(theme);
  const next: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
  const other = LANGUAGES.find((one) => one !== language.get()) ?? "en";
  return (
    <div class="preferences">
      <button type="button" class="chip" aria-label={t("theme.switch", { theme: t(`theme.${chosen}` as TextKey) })} onClick={() => setTheme(next[chosen])}>
        <span aria-hidden="true">{chosen === "dark" ? "●" : chosen === "light" ? "○" : "◐"}</span> {t(`theme.${chosen}` as TextKey)}
      </button>
      <button type="button" class="chip" lang={other === "zh" ? "zh-CN" : "en"} onClick={() => setLanguage(other)}>
        {other === "zh" ? "中文" : "English"}
      </button>
    </div>
  );
}
