// What proves who somebody is: a session in two halves, of which no script can read the cookie and this origin keeps the
// key; or, where browsers keep no such cookie (plain HTTP to another machine), a token in this tab's memory.
const PLACE = "visor-session";
let token = null;
let key = null;
try { key = localStorage.getItem(PLACE); } catch { /* a browser that keeps nothing: until the tab is closed */ }

export const proof = () => (token ? { Authorization: `Bearer ${token}` } : key ? { "Visor-Session": key } : {});

export function hold(newToken, newKey) {
  token = newToken;
  key = newKey;
  try {
    if (key) localStorage.setItem(PLACE, key);
    else localStorage.removeItem(PLACE);
  } catch { /* as above */ }
}

// Somebody signs in or out in another tab: `listener` is called, and what ends that is returned.
export function listen(listener) {
  const onStorage = (event) => {
    if (event.key !== PLACE && event.key !== null) return;
    token = null;
    key = event.newValue;
    listener();
  };
  addEventListener("storage", onStorage);
  return () => removeEventListener("storage", onStorage);
}
