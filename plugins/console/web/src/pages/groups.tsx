// Which upstreams and models the keys of a group reach.
import { items, useLoad, type Listing } from "../api";
import { count } from "../format";
import { t } from "../i18n";
import { Link } from "../router";
import type { Group } from "../types";
import { Table } from "../list";
import { Empty, Page, Panel, Shown } from "../ui";

const SHOWN_MAX = 12;

function Names({ of }: { of: string[] }) {
  return (
    <span class="tags">
      {of.slice(0, SHOWN_MAX).map((name) => (
        <span key={name} class="tag">
          {name}
        </span>
      ))}
      {of.length > SHOWN_MAX && (
        <span class="quiet" title={of.join(", ")}>
          {t("state.more", { count: of.length - SHOWN_MAX })}
        </span>
      )}
      {of.length === 0 && <span class="quiet">–</span>}
    </span>
  );
}

export function GroupsPage() {
  const loaded = useLoad<Listing<Group> | Group[]>("/groups");
  return (
    <Page title={t("nav.groups")} lead={t("groups.lead")}>
      <Panel flush>
        <Shown from={loaded}>
          {(data) =>
            items(data).length === 0 ? (
              <Empty title={t("groups.none")} text={t("groups.noneText")}>
                <Link class="button plain" to="/upstreams">
                  {t("nav.upstreams")}
                </Link>
              </Empty>
            ) : (
              <Table label={t("nav.groups")} columns={[t("field.name"), t("nav.upstreams"), t("field.models"), t("nav.keys")]}>
                {items(data).map((group) => (
                  <tr key={group.name}>
                    <td class="strong">{group.name}</td>
                    <td>
                      <Names of={group.upstreams} />
                    </td>
                    <td>
                      <Names of={group.models} />
                    </td>
                    <td class="number">{count(group.keys)}</td>
                  </tr>
                ))}
              </Table>
            )
          }
        </Shown>
      </Panel>
    </Page>
  );
}
