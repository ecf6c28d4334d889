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
      <Shown from={loaded}>{(data) => <Sections data={data} />}</Shown>
    </Page>
  );
}

/** Lists, such as the upstreams, are wide: they come last. */
function Sections({ data }: { data: Record<string, unknown> }) {
  const isList = (value: unknown) => Array.isArray(value) && typeof value[0] === "object";
  const show = (wanted: boolean) =>
    Object.entries(data)
      .filter(([, value]) => isList(value) === wanted)
      .map(([name, value]) => <Section key={name} name={name} value={value} />);
  return (
    <>
      <div class="cards">{show(false)}</div>
      {show(true)}
    </>
  );
}

function Section({ name, value }: { name: string; value: unknown }) {
  const isTable = typeof value === "object" && value !== null && !Array.isArray(value);
  return <Tree title={isTable ? name : ""} fields={isTable ? (value as Record<string, unknown>) : { [name]: value }} />;
}
