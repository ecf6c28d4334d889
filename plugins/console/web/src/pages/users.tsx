// People: roles, quotas, budgets that come anew each period, top-ups.
import { useState } from "preact/hooks";
import { call, usePages } from "../api";
import { Confirm, FormDialog, Once } from "../dialogs";
import { ago, moment } from "../format";
import { amountText, readChanged, Reading, useTexts } from "../forms";
import { t, type TextKey } from "../i18n";
import { List, Table } from "../list";
import { usd } from "../money";
import { Link, withQuery } from "../router";
import { session } from "../session";
import type { Budget, User } from "../types";
import { Badge, Button, Empty, Page, Quota, SelectField, TextField, toast, useAct } from "../ui";

const ROLES = ["user", "operator", "admin"] as const;
const PERIODS = ["daily", "weekly", "monthly"] as const;

interface Made {
  user: User;
  password?: string;
}

type Open = { what: "new" } | { what: "edit" | "topup" | "delete"; user: User } | { what: "password"; name: string; password: string };

export function UsersPage() {
  const listing = usePages<User>("/users", {});
  const [open, setOpen] = useState<Open | null>(null);
  const close = () => setOpen(null);
  const changed = () => {
    close();
    toast(t("state.saved"));
    void listing.reload();
  };
  return (
    <Page
      title={t("nav.users")}
      lead={t("users.lead")}
      actions={
        <Button tone="main" data-new onClick={() => setOpen({ what: "new" })}>
          {t("users.new")}
        </Button>
      }
    >
      <List from={listing} empty={<Empty title={t("users.none")} text={t("users.noneText")} />}>
        {(rows) => <Rows rows={rows} open={setOpen} />}
      </List>
      {open?.what === "new" && (
        <UserForm
          onClose={close}
          done={(made) => {
            changed();
            if (made.password) setOpen({ what: "password", name: made.user.name, password: made.password });
          }}
        />
      )}
      {open?.what === "edit" && <UserForm of={open.user} onClose={close} done={changed} />}
      {open?.what === "topup" && <TopUp of={open.user} onClose={close} done={changed} />}
      {open?.what === "delete" && (
        <Confirm title={t("users.delete")} text={t("users.deleteText")} typed={open.user.name} action={t("action.delete")} onClose={close} act={() => call("DELETE", `/users/${open.user.id}`).then(() => listing.reload())} />
      )}
      {open?.what === "password" && <Once title={t("users.password", { name: open.name })} warning={t("users.passwordOnce")} texts={[open.password]} label={t("field.password")} onClose={close} />}
    </Page>
  );
}

export function budgetText(budget: Budget): string {
  return `${usd(budget.amount_nanos)} · ${t(`period.${budget.period}` as TextKey)}`;
}

function Rows({ rows, open }: { rows: User[]; open: (what: Open) => void }) {
  const me = session.get()?.person.id;
  return (
    <Table label={t("nav.users")} columns={[t("field.name"), t("users.role"), t("keys.state"), t("field.quota"), t("users.budget"), t("users.seen"), ""]}>
      {rows.map((user) => (
        <tr key={user.id}>
          <td class="cut" title={user.name}>
            <Link to={withQuery("/logs", { user: user.name })}>{user.name}</Link> {user.id === me && <span class="quiet">({t("users.you")})</span>}
          </td>
          <td>
            <Badge tone={user.role === "admin" ? "accent" : "quiet"}>{t(`role.${user.role}` as TextKey)}</Badge>
          </td>
          <td class="nowrap">
            {user.enabled ? <Badge tone="good">{t("keys.active")}</Badge> : <Badge tone="quiet">{t("keys.disabled")}</Badge>}
            {!user.has_password && (
              <div class="below" title={t("users.noPasswordText")}>
                {t("users.noPassword")}
              </div>
            )}
          </td>
          <td>
            <Quota quota={user.quota_nanos} spent={user.spent_nanos} held={user.held_nanos} />
          </td>
          <td class="nowrap" title={user.budget?.time_zone}>{user.budget ? budgetText(user.budget) : "–"}</td>
          <td class="nowrap quiet" title={moment(user.last_login_at)}>
            {ago(user.last_login_at)}
          </td>
          <td class="row-actions">
            <Button small onClick={() => open({ what: "edit", user })}>
              {t("action.edit")}
            </Button>
            <Button small onClick={() => open({ what: "topup", user })}>
              {t("users.topUp")}
            </Button>
            <Button small tone="danger" disabled={user.id === me} onClick={() => open({ what: "delete", user })}>
              {t("action.delete")}
            </Button>
          </td>
        </tr>
      ))}
    </Table>
  );
}

const FIELDS = ["name", "role", "password", "enabled", "quota_nanos", "budget.amount_nanos", "budget.period", "budget.time_zone"];

function UserForm({ of, onClose, done }: { of?: User; onClose: () => void; done: (made: Made) => void }) {
  const first = {
    name: of?.name ?? "",
    role: of?.role ?? "user",
    enabled: of?.enabled === false ? "no" : "yes",
    quota_nanos: amountText(of?.quota_nanos),
    period: of?.budget?.period ?? "",
    amount: amountText(of?.budget?.amount_nanos),
    time_zone: of?.budget?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC",
    password: "",
  } as Record<"name" | "role" | "enabled" | "quota_nanos" | "period" | "amount" | "time_zone" | "password", string>;
  const { texts, set, wrong, setWrong } = useTexts(first);
  const act = useAct();
  const { run, at } = act;
  const submit = () => {
    const read = new Reading();
    const reads = {
      name: () => read.needed("name", texts.name),
      role: () => texts.role,
      enabled: () => texts.enabled === "yes",
      quota_nanos: () => read.amount("quota_nanos", texts.quota_nanos),
      budget: () => (texts.period === "" ? null : { amount_nanos: read.amountNeeded("budget.amount", texts.amount), period: texts.period, time_zone: texts.time_zone.trim() }),
      password: () => texts.password,
    };
    // A name is for good; a budget is one thing in three fields.
    const isOther = { name: false, role: texts.role !== first.role, enabled: texts.enabled !== first.enabled, quota_nanos: texts.quota_nanos !== first.quota_nanos, budget: ["period", "amount", "time_zone"].some((field) => texts[field as "period"] !== first[field as "period"]), password: texts.password !== "" };
    const given = readChanged(reads, (field) => (of ? isOther[field as "name"] : field !== "enabled"));
    setWrong(read.wrong);
    if (!read.isGood) return;
    // What was left empty is the server's to choose.
    const body = of ? given : Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null && value !== ""));
    if (of && Object.keys(body).length === 0) onClose();
    else void run(() => (of ? call<Made>("PATCH", `/users/${of.id}`, body) : call<Made>("POST", "/users", body)), done);
  };
  const field = (name: keyof typeof texts, api: string = name) => ({ name, value: texts[name], set: set(name), error: wrong[api] ?? at(api) ?? at(`${api}_nanos`) });
  return (
    <FormDialog title={of ? t("users.edit", { name: of.name }) : t("users.new")} onClose={onClose} submit={submit} action={of ? t("action.save") : t("action.create")} act={act} fields={FIELDS} wide>
      <div class="form-grid">
        <TextField label={t("field.name")} {...field("name")} input={{ required: true, maxLength: 128, autofocus: !of, readOnly: of !== undefined }} />
        <SelectField label={t("users.role")} {...field("role")} choices={ROLES.map((role) => [role, t(`role.${role}`)] as const)} />
        <TextField label={of ? t("users.newPassword") : t("field.password")} {...field("password")} hint={of ? t("users.keepPassword") : t("users.randomPassword")} input={{ type: "password", autocomplete: "new-password" }} />
        {of && <SelectField label={t("keys.state")} {...field("enabled")} choices={[["yes", t("keys.active")], ["no", t("keys.disabled")]]} />}
        <TextField label={t("field.quotaUsd")} {...field("quota_nanos")} hint={t("users.quotaHint")} input={{ inputMode: "decimal", placeholder: t("quota.unlimited") }} />
        <SelectField label={t("users.budget")} {...field("period", "budget.period")} hint={t("users.budgetHint")} choices={[["", t("users.noBudget")], ...PERIODS.map((period) => [period, t(`period.${period}`)] as const)]} />
        {texts.period !== "" && <TextField label={t("users.budgetUsd")} {...field("amount", "budget.amount")} input={{ inputMode: "decimal" }} />}
        {texts.period !== "" && <TextField label={t("users.timeZone")} {...field("time_zone", "budget.time_zone")} />}
      </div>
    </FormDialog>
  );
}

function TopUp({ of, onClose, done }: { of: User; onClose: () => void; done: () => void }) {
  const { texts, set, wrong, setWrong } = useTexts({ amount_nanos: "", note: "" });
  const act = useAct();
  const { run, at } = act;
  const submit = () => {
    const read = new Reading();
    const amount_nanos = read.amountEitherWay("amount_nanos", texts.amount_nanos);
    setWrong(read.wrong);
    if (read.isGood) void run(() => call("POST", `/users/${of.id}/topup`, { amount_nanos, note: texts.note }), done);
  };
  return (
    <FormDialog title={t("users.topUpOf", { name: of.name })} onClose={onClose} submit={submit} action={t("users.topUp")} act={act} fields={["amount_nanos", "note"]} disabled={of.quota_nanos === null}>
      <p>{of.quota_nanos === null ? t("users.topUpUnlimited") : t("users.topUpText", { quota: usd(of.quota_nanos) })}</p>
      <TextField label={t("field.amountUsd")} name="amount_nanos" value={texts.amount_nanos} set={set("amount_nanos")} error={wrong["amount_nanos"] ?? at("amount_nanos")} input={{ inputMode: "decimal", autofocus: true, placeholder: "25.00" }} />
      <TextField label={t("field.note")} name="note" value={texts.note} set={set("note")} error={at("note")} hint={t("users.noteHint")} input={{ maxLength: 500 }} />
    </FormDialog>
  );
}
