// One's own: what is left, codes, password, and how this browser shows things.
import { useState } from "preact/hooks";
import { call, useLoad, useRefresh } from "../api";
import { t, type TextKey } from "../i18n";
import { usd, type Nanos } from "../money";
import { leave, Preferences } from "../preferences";
import { session } from "../session";
import { useWatched } from "../store";
import type { Session } from "../types";
import { Button, ErrorNote, Facts, Page, Panel, Quota, Shown, TextField, toast, useAct } from "../ui";
import { PasswordForm } from "./login";
import { budgetText } from "./users";

const REFRESH_MS = 30_000;

export function AccountPage() {
  const who = useWatched(session);
  const loaded = useLoad<Session>("/session");
  useRefresh(loaded.reload, REFRESH_MS);
  return (
    <Page
      title={t("nav.account")}
      actions={
        <>
          <Button busy={loaded.loading} onClick={() => void loaded.reload()}>
            {t("action.reload")}
          </Button>
          <Button onClick={() => void leave()}>{t("action.logOut")}</Button>
        </>
      }
    >
      <div class="cards">
        <Panel title={who?.person.name ?? ""}>
          <Shown from={loaded}>
            {({ person }) => (
              <Facts
                rows={[
                  [t("users.role"), t(`role.${person.role}` as TextKey)],
                  [t("field.quota"), <Quota quota={person.quota_nanos} spent={person.spent_nanos} held={person.held_nanos} />],
                  ...(person.budget ? [[t("users.budget"), budgetText(person.budget)] as const] : []),
                  [t("account.held"), usd(person.held_nanos)],
                ]}
              />
            )}
          </Shown>
        </Panel>
        <Panel title={t("account.redeem")}>
          <Redeem done={() => void loaded.reload()} />
        </Panel>
        <Panel title={t("password.change")}>
          <PasswordForm done={() => void loaded.reload()} />
        </Panel>
        <Panel title={t("account.display")}>
          <p class="quiet">{t("account.displayText")}</p>
          <Preferences />
        </Panel>
      </div>
    </Page>
  );
}

function Redeem({ done }: { done: () => void }) {
  const [code, setCode] = useState("");
  const { busy, error, run, at } = useAct();
  return (
    <form
      class="narrow"
      onSubmit={(event) => {
        event.preventDefault();
        void run(
          () => call<{ amount_nanos: Nanos }>("POST", "/codes/redeem", { code: code.trim() }),
          (answer) => {
            setCode("");
            toast(t("account.redeemed", { amount: usd(answer.amount_nanos) }));
            done();
          },
        );
      }}
    >
      <TextField label={t("codes.code")} name="code" value={code} set={setCode} error={at("code")} hint={t("account.redeemHint")} input={{ required: true }} />
      <ErrorNote error={error} fields={["code"]} />
      <Button type="submit" tone="main" busy={busy}>
        {t("account.redeemNow")}
      </Button>
    </form>
  );
}
