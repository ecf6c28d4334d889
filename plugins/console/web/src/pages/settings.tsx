// The configuration in force, without its secrets.
import { useLoad } from "../api";
import { t } from "../i18n";
import { Page, Shown } from "../ui";
import { Tree } from "./any";
import { Reload } from "./health";

export function SettingsPage() {
  const loaded = useLoad<Record<string, unknown>>("/settings");
  return (
    <Page title={t("nav.settings")} lead={t("settings.lead")} actions={<Reload />}>
      <Shown from={loaded}>{(data) => <div class="cards">{Object.entries(data).map(([name, value]) => <Section key={name} name={name} value={value} />)}</div>}</Shown>
    </Page>
  );
}

function Section({ name, value }: { name: string; value: unknown }) {
  const isTable = typeof value === "object" && value !== null && !Array.isArray(value);
  return <Tree title={isTable ? name : ""} fields={isTable ? (value as Record<string, unknown>) : { [name]: value }} />;
}
