// THE table of pages: address, name, who sees it, its shortcut after `g`.
import type { ComponentType } from "preact";
import type { TextKey } from "./i18n";
import { AccountPage } from "./pages/account";
import { AuditPage } from "./pages/audit";
import { CodesPage } from "./pages/codes";
import { GroupsPage } from "./pages/groups";
import { HealthPage } from "./pages/health";
import { KeysPage } from "./pages/keys";
import { LogsPage } from "./pages/logs";
import { ModelsPage } from "./pages/models";
import { OverviewPage } from "./pages/overview";
import { PlaygroundPage } from "./pages/playground";
import { PricesPage } from "./pages/prices";
import { SettingsPage } from "./pages/settings";
import { UpstreamsPage } from "./pages/upstreams";
import { UsersPage } from "./pages/users";
import type { Role } from "./types";

export interface PageRow {
  path: string;
  title: TextKey;
  section: "watch" | "access" | "routing" | "system";
  role: Role;
  shortcut: string;
  page: ComponentType;
}

export const PAGES: readonly PageRow[] = [
  { path: "/", title: "nav.overview", section: "watch", role: "user", shortcut: "o", page: OverviewPage },
  { path: "/logs", title: "nav.logs", section: "watch", role: "user", shortcut: "l", page: LogsPage },
  { path: "/playground", title: "nav.playground", section: "watch", role: "user", shortcut: "c", page: PlaygroundPage },
  { path: "/keys", title: "nav.keys", section: "access", role: "user", shortcut: "k", page: KeysPage },
  { path: "/users", title: "nav.users", section: "access", role: "admin", shortcut: "u", page: UsersPage },
  { path: "/codes", title: "nav.codes", section: "access", role: "admin", shortcut: "d", page: CodesPage },
  { path: "/upstreams", title: "nav.upstreams", section: "routing", role: "operator", shortcut: "r", page: UpstreamsPage },
  { path: "/groups", title: "nav.groups", section: "routing", role: "operator", shortcut: "g", page: GroupsPage },
  { path: "/models", title: "nav.models", section: "routing", role: "user", shortcut: "m", page: ModelsPage },
  { path: "/prices", title: "nav.prices", section: "routing", role: "user", shortcut: "p", page: PricesPage },
  { path: "/health", title: "nav.health", section: "system", role: "operator", shortcut: "h", page: HealthPage },
  { path: "/audit", title: "nav.audit", section: "system", role: "admin", shortcut: "a", page: AuditPage },
  { path: "/settings", title: "nav.settings", section: "system", role: "admin", shortcut: "s", page: SettingsPage },
  { path: "/account", title: "nav.account", section: "system", role: "user", shortcut: "i", page: AccountPage },
];

export const SECTIONS = ["watch", "access", "routing", "system"] as const;
