// Virtual keys: made here, shown once, limited, switched off, exchanged, deleted.
import { useEffect, useState } from "preact/hooks";
import { call, items, useLoad, usePages, type Listing } from "../api";
import { Confirm, FormDialog, Once } from "../dialogs";
import { ago, fromLocalInput, moment, short, toLocalInput } from "../format";
import { amountText, names, readChanged, Reading, useTexts, wholeText } from "../forms";
import { t } from "../i18n";
import { List, Table } from "../list";
import { Link, setQuery, usePlace, withQuery } from "../router";
import { keepFresh, may } from "../session";
import { modelName, type Group, type Key, type Model, type User } from "../types";
import { Badge, Button, Empty, ErrorNote, Page, Quota, TextField, TimeField, toast, useAct } from "../ui";

interface Fresh {
  key: Key;
  secret: string;
}

type Open = { what: "new" } | { what: "edit" | "rotate" | "delete"; key: Key } | { what: "secret"; fresh: Fresh };

export function KeysPage() {
  const { query } = usePlace();
  const listing = usePages<Key>("/keys", {});
  const [open, setOpen] = useState<Open | null>(query.get("new") === "1" ? { what: "new" } : null);
  useEffect(() => {
    if (query.has("new")) setQuery({ new: null });
  }, []);
  const close = () => setOpen(null);
  const made = (fresh: Fresh) => {
    keepFresh(fresh.key.name, fresh.secret);
    setOpen({ what: "secret", fresh });
    void listing.reload();
  };
  const create = (
    <Button tone="main" data-new onClick={() => setOpen({ what: "new" })}>
      {t("keys.new")}
    </Button>
  );
  return (
    <Page title={t("nav.keys")} lead={t("keys.lead")} actions={create}>
      <List
        from={listing}
        empty={
          <Empty title={t("keys.none")} text={t("keys.noneText")}>
            <Button tone="main" onClick={() => setOpen({ what: "new" })}>
              {t("keys.new")}
            </Button>
          </Empty>
        }
      >
        {(rows) => <Rows rows={rows} open={setOpen} reload={listing.reload} />}
      </List>
      {open?.what === "new" && <KeyForm onClose={close} made={made} />}
      {open?.what === "edit" && (
        <KeyForm
          of={open.key}
          onClose={close}
          changed={() => {
            close();
            toast(t("state.saved"));
            void listing.reload();
          }}
        />
      )}
      {open?.what === "secret" && <Secret fresh={open.fresh} onClose={close} />}
      {open?.what === "rotate" && <Rotate of={open.key} onClose={close} made={made} />}
      {open?.what === "delete" && (
        <Confirm title={t("keys.delete")} text={t("keys.deleteText")} typed={open.key.name} action={t("action.delete")} onClose={close} act={() => call("DELETE", `/keys/${open.key.id}`).then(() => listing.reload())} />
      )}
    </Page>
  );
}

function Rows({ rows, open, reload }: { rows: Key[]; open: (what: Open) => void; reload: () => Promise<void> }) {
  const { error, run } = useAct();
  const showUser = may("operator");
  const enable = (key: Key, enabled: boolean) => void run(() => call("PATCH", `/keys/${key.id}`, { enabled }), () => void reload());
  return (
    <>
      <ErrorNote error={error} />
      <Table
        label={t("nav.keys")}
        columns={[showUser ? t("keys.nameAndUser") : t("field.name"), t("keys.state"), t("keys.groupAndModels"), t("field.quota"), t("keys.limits"), t("keys.used"), ""]}
      >
        {rows.map((key) => (
          <tr key={key.id}>
            <td class="cut" title={key.name}>
              <Link to={withQuery("/logs", { key: String(key.id) })}>{key.name}</Link>
              {showUser && <div class="below">{key.user ?? "–"}</div>}
            </td>
            <td class="nowrap">
              <State of={key} />
            </td>
            <td class="cut" title={(key.models ?? []).join(", ")}>
              {key.group}
              <div class="below">{key.models?.length ? key.models.join(", ") : t("keys.allModels")}</div>
            </td>
            <td>
              <Quota quota={key.quota_nanos} spent={key.spent_nanos} held={key.held_nanos} />
            </td>
            <td class="nowrap quiet">{limits(key) || "–"}</td>
            <td class="nowrap quiet" title={moment(key.accessed_at)}>
              {ago(key.accessed_at)}
            </td>
            <td class="row-actions">
              <Button small onClick={() => open({ what: "edit", key })}>
                {t("action.edit")}
              </Button>
              {showUser && (
                <Button small onClick={() => enable(key, !key.enabled)}>
                  {key.enabled ? t("action.disable") : t("action.enable")}
                </Button>
              )}
              <Button small onClick={() => open({ what: "rotate", key })}>
                {t("action.rotate")}
              </Button>
              <Button small tone="danger" onClick={() => open({ what: "delete", key })}>
                {t("action.delete")}
              </Button>
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}

function State({ of: key }: { of: Key }) {
  if (!key.enabled) return <Badge tone="quiet">{t("keys.disabled")}</Badge>;
  if (key.expires_at && Date.parse(key.expires_at) <= Date.now()) return <Badge tone="bad">{t("keys.expired")}</Badge>;
  return (
    <>
      <Badge tone="good">{t("keys.active")}</Badge>
      {key.expires_at && (
        <div class="below" title={moment(key.expires_at)}>
          {t("keys.expires", { when: ago(key.expires_at) })}
        </div>
      )}
    </>
  );
}

function limits(key: Key): string {
  const parts = [
    [key.rpm, "rpm"],
    [key.tpm, "tpm"],
    [key.concurrency, t("keys.parallel")],
  ] as const;
  return parts.flatMap(([limit, unit]) => (limit == null ? [] : [`${short(limit)} ${unit}`])).join(" · ");
}

const FIELDS = ["name", "user", "group", "models", "quota_nanos", "expires_at", "rpm", "tpm", "concurrency"];

function KeyForm({ of, onClose, made, changed }: { of?: Key; onClose: () => void; made?: (fresh: Fresh) => void; changed?: () => void }) {
  const first = { name: of?.name ?? "", user: of?.user ?? "", group: of?.group ?? "", models: (of?.models ?? []).join(", "), quota_nanos: amountText(of?.quota_nanos), expires_at: toLocalInput(of?.expires_at), rpm: wholeText(of?.rpm), tpm: wholeText(of?.tpm), concurrency: wholeText(of?.concurrency) };
  const { texts, set, wrong, setWrong } = useTexts(first);
  const act = useAct();
  const { run, at } = act;
  const groups = useLoad<Listing<Group> | Group[]>(may("operator") ? "/groups" : null);
  const users = useLoad<Listing<User> | User[]>(may("admin") ? "/users?limit=200" : null);
  const models = useLoad<Listing<Model> | Model[]>("/models");
  const submit = () => {
    const read = new Reading();
    const reads: Record<string, () => unknown> = {
      name: () => read.needed("name", texts.name),
      ...(may("operator") ? { user: () => texts.user.trim() || null } : {}),
      group: () => texts.group.trim(),
      models: () => names(texts.models),
      quota_nanos: () => read.amount("quota_nanos", texts.quota_nanos),
      expires_at: () => fromLocalInput(texts.expires_at),
      rpm: () => read.whole("rpm", texts.rpm),
      tpm: () => read.whole("tpm", texts.tpm),
      concurrency: () => read.whole("concurrency", texts.concurrency),
    };
    const given = readChanged(reads, (field) => !of || texts[field as keyof typeof texts] !== first[field as keyof typeof first]);
    setWrong(read.wrong);
    if (!read.isGood) return;
    if (!of) {
      // What was left empty is the server's to choose.
      const body = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && value.length === 0)));
      void run(() => call<Fresh>("POST", "/keys", body), made);
      return;
    }
    if (Object.keys(given).length === 0) onClose();
    else void run(() => call("PATCH", `/keys/${of.id}`, given), changed);
  };
  const field = (name: keyof typeof texts) => ({ name, value: texts[name], set: set(name), error: wrong[name] ?? at(name) });
  return (
    <FormDialog title={of ? t("keys.edit", { name: of.name }) : t("keys.new")} onClose={onClose} submit={submit} action={of ? t("action.save") : t("action.create")} act={act} fields={FIELDS} wide>
      <div class="form-grid">
        <TextField label={t("field.name")} {...field("name")} input={{ required: true, maxLength: 128, autofocus: true }} />
        <TextField label={t("field.quotaUsd")} {...field("quota_nanos")} hint={t("keys.quotaHint")} input={{ inputMode: "decimal", placeholder: t("quota.unlimited") }} />
        {may("operator") ? (
          <TextField label={t("field.group")} {...field("group")} hint={t("keys.groupHint")} input={{ list: "group-names", placeholder: "default" }} />
        ) : (
          <TextField label={t("field.group")} {...field("group")} hint={t("keys.groupHint")} input={{ placeholder: "default" }} />
        )}
        {may("operator") && <TextField label={t("logs.user")} {...field("user")} hint={t("keys.userHint")} input={{ list: "user-names" }} />}
        <TimeField label={t("keys.expiry")} {...field("expires_at")} hint={t("keys.expiryHint")} />
        <div class="span">
          <TextField label={t("field.models")} {...field("models")} hint={t("keys.modelsHint")} input={{ list: "model-names", placeholder: t("field.all") }} />
        </div>
        <TextField label={t("keys.rpm")} {...field("rpm")} input={{ inputMode: "numeric", placeholder: t("field.noLimit") }} />
        <TextField label={t("keys.tpm")} {...field("tpm")} input={{ inputMode: "numeric", placeholder: t("field.noLimit") }} />
        <TextField label={t("keys.concurrency")} {...field("concurrency")} input={{ inputMode: "numeric", placeholder: t("field.noLimit") }} />
      </div>
      <datalist id="group-names">
        {items(groups.data).map((group) => (
          <option key={group.name} value={group.name} />
        ))}
      </datalist>
      <datalist id="user-names">
        {items(users.data).map((user) => (
          <option key={user.id} value={user.name} />
        ))}
      </datalist>
      <datalist id="model-names">
        {items(models.data).slice(0, 200).map((model) => (
          <option key={modelName(model)} value={modelName(model)} />
        ))}
      </datalist>
    </FormDialog>
  );
}

function Rotate({ of, onClose, made }: { of: Key; onClose: () => void; made: (fresh: Fresh) => void }) {
  const act = useAct();
  const rotate = () => void act.run(() => call<Fresh>("POST", `/keys/${of.id}/rotate`), made);
  return (
    <FormDialog title={t("keys.rotate")} onClose={onClose} submit={rotate} action={t("action.rotate")} tone="danger" act={act}>
      <p>{t("keys.rotateText", { name: of.name })}</p>
    </FormDialog>
  );
}

function Secret({ fresh, onClose }: { fresh: Fresh; onClose: () => void }) {
  const tryIt = (
    <Link class="button plain" to="/playground">
      {t("keys.try")}
    </Link>
  );
  return (
    <Once title={t("keys.secret", { name: fresh.key.name })} warning={t("keys.once")} texts={[fresh.secret]} label={t("keys.secretLabel")} onClose={onClose} actions={tryIt}>
      <p>{t("keys.use")}</p>
      <pre class="code">{`curl ${location.origin}/v1/chat/completions \\\n  -H "authorization: Bearer $TOLLGATE_KEY" \\\n  -H "content-type: application/json" \\\n  -d '{"model":"MODEL","messages":[{"role":"user","content":"Hello"}]}'`}</pre>
    </Once>
  );
}
