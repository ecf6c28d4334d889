// Lines on a grid of 16, in the colour of the text beside them.
const PATHS: Record<string, string> = {
  "/": "M2 13.5h12M3.5 11V8M6.5 11V4M9.5 11V6.5M12.5 11V2.5",
  "/logs": "M3 3.5h10M3 8h10M3 12.5h6",
  "/playground": "M2.5 3h11v7.5H8L5 13v-2.5H2.5z",
  "/keys": "M10.2 9.3a3.4 3.4 0 1 0-3.4-3.4c0 .5.1 1 .3 1.4L2.5 11.9V13.5h2.4v-1.6h1.6v-1.6l1.4-1.3c.7.2 1.5.3 2.3.3zM11 5.2h.01",
  "/users": "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5c0-2.5 2-4 4.5-4s4.5 1.5 4.5 4M10.5 2.7a2.5 2.5 0 0 1 0 4.6M12 9.8c1.5.6 2.5 1.9 2.5 3.7",
  "/codes": "M2 4.5h12v2.3a1.3 1.3 0 0 0 0 2.5v2.2H2V9.3a1.3 1.3 0 0 0 0-2.5zM9.5 4.5v7",
  "/upstreams": "M8 13V8M8 8 3.5 5V3M8 8l4.5-3V3M2 4.5 3.5 3 5 4.5M11 4.5 12.5 3 14 4.5",
  "/groups": "M2.5 2.5h4.5v4.5H2.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5H2.5zM9 9h4.5v4.5H9z",
  "/models": "M8 1.8 13.5 5v6L8 14.2 2.5 11V5zM2.5 5 8 8.2 13.5 5M8 8.2v6",
  "/prices": "M8 1.8v12.4M11 4.5C10.5 3.5 9.4 3 8 3 6.2 3 5 3.9 5 5.3c0 3.2 6.2 1.8 6.2 5.2 0 1.5-1.3 2.5-3.2 2.5-1.6 0-2.9-.6-3.4-1.8",
  "/health": "M1.5 8.5h3l1.5-4 3 8 2-5 .8 1h2.7",
  "/audit": "M8 1.8 13 3.8v4c0 3-2 5.2-5 6.4-3-1.2-5-3.4-5-6.4v-4zM5.8 8l1.6 1.6 3-3.2",
  "/settings": "M2 4.5h7M12 4.5h2M2 11.5h2M7 11.5h7M10.5 3v3M5.5 10v3",
  "/account": "M8 8.2a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8zM2.5 14c0-2.9 2.4-4.5 5.5-4.5s5.5 1.6 5.5 4.5",
};

export function Icon({ of }: { of: string }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[of] ?? ""} fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="24" height="24" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="currentColor" />
      <path d="M8 25V11.5M24 25V11.5M5.5 11.5h21M8 17.5l16-6" class="mark-lines" />
    </svg>
  );
}
