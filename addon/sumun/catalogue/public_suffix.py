"""Names under which anybody can register: an entry that covers one would take down strangers.

A short table of our own rather than the Public Suffix List: that list has 10,000 rules and changes weekly, while a
refusal needs only the registries and the hosting platforms that turn up in lists of domains. What is missing here is
still held back by the list of names never to block.
"""

from __future__ import annotations

from typing import Final

_REGISTRIES: Final = {
    "ac": """
        ae at be ci cn cr cy gn id il im in ir jp ke kr lk ls ma me mu mw mz ni nz pa pr rs rw se sz th tj tz ug
        uk vn za zm zw
    """,
    "co": """
        ae ag am ao at bb bi bw ci cl cm cr gg gl gy hu id il im in ir it je jp ke kr lc ls ma me mg mu mw mz na
        ni nz om pn pw rs rw st sz th tj tm tt tz ug uk us uz ve vi za zm zw
    """,
    "com": """
        ac af ag ai al am ar au aw az ba bb bh bi bm bn bo br bs bt by bz ci cm cn co cu cw cy dm do dz ec ee eg
        es et fr ge gh gi gl gn gp gr gt gu gy hk hn hr ht im io iq is jo kg ki km kp kw ky kz la lb lc lk lr lv
        ly mg mk ml mo ms mt mu mv mw mx my na nf ng ni nr om pa pe pf ph pk pl pr ps pt py qa re ro sa sb sc sd
        sg sh sl sn so ss st sv sy tj tm tn to tr tt tw ua ug uy uz vc ve vi vn vu ws zm
    """,
    "edu": """
        ac af al ar au az ba bb bh bi bm bn bo br bs bt bz ci cn co cu cw dm do dz ec ee eg es et ge gh gi gl gn
        gp gr gt gu gy hk hn ht in iq is it jo kg ki km kn kp kw ky kz la lb lc lk lr ls lv ly me mg mk ml mn mo
        ms mt mv mw mx my mz ng ni nr om pa pe pf ph pk pl pn pr ps pt py qa rs sa sb sc sd sg sl sn so ss st sv
        sy tj tm to tr tt tw ua uy vc ve vn vu ws za zm
    """,
    "go": """
        ci cr id it jp ke kr pw th tj tz ug
    """,
    "gob": """
        ar bo cl do ec es gt hn mx ni pa pe pk sv ve
    """,
    "gouv": """
        bj ci fr ht km ml sn
    """,
    "gov": """
        ac ae af al ar as au az ba bb bf bh bm bn br bs bt by bz cd cl cm cn co cu cx cy dm do dz ec ee eg et ge
        gh gi gn gr gu gy hk ie il in iq ir is it jo kg ki km kn kp kw ky kz la lb lc lk lr ls lt lv ly ma me mg
        mk ml mn mo mr ms mu mv mw my mz ng nr om ph pk pl pn pr ps pt py qa rs rw sa sb sc sd sg sh sl so ss st
        sx sy tj tl tm tn to tr tt tw ua uk vc ve vn ws za zm zw
    """,
    "mil": """
        ac ae al ar az ba bo br by cl cn co do ec eg ge gh gt hn id in iq jo kg km kr kz lv mg mv my mz ng ni no
        nz pe ph pl py qa rw sh st sy tj tm to tr tw tz uy vc ve za zm zw
    """,
    "ne": """
        jp ke kr pw tz ug us
    """,
    "net": """
        ac ae af ag ai al am ar au az ba bb bh bm bn bo br bs bt bz ci cm cn co cu cw cy dm do dz ec eg et ge gg
        gl gn gp gr gt gu gy hk hn ht id il im in iq ir is je jo kg ki kn kw ky kz la lb lc lk lr ls lv ly ma me
        mk ml mo ms mt mu mv mw mx my mz nf ng ni nr nz om pa pe ph pk pl pn pr ps pt py qa rw sa sb sc sd sg sh
        sl so ss st sy th tj tm tn to tr tt tw ua uk uy uz vc ve vi vn vu ws za zm
    """,
    "or": """
        at bi ci cr id it jp ke kr mu na pw th tz ug us
    """,
    "org": """
        ac ae af ag ai al am ar au az ba bb bh bi bm bn bo br bs bt bw bz ci cn co cu cw cy dm do dz ec ee eg es
        et ge gg gh gi gl gn gp gr gt gu gy hk hn ht hu il im in iq ir is je jo kg ki km kn kp kw ky kz la lb lc
        lk lr ls lv ly ma me mg mk ml mn mo ms mt mu mv mw mx my mz na ng ni nr nz om pa pe pf ph pk pl pn pr ps
        pt py qa ro rs rw sa sb sc sd se sg sh sl sn so ss st sv sy sz tj tm tn to tr tt tw ua ug uk uy uz vc ve
        vi vn vu ws za zm zw
    """,
}
"""Second-level label to the country codes whose registry sells names below it, as the registries publish."""

_LOCAL: Final = {
    "kr": """
        es hs kg ms pe re sc busan chungbuk chungnam daegu daejeon gangwon gwangju gyeongbuk gyeonggi gyeongnam
        incheon jeju jeonbuk jeonnam seoul ulsan
    """,
    "jp": """
        ad ed gr lg aichi akita aomori chiba ehime fukui fukuoka fukushima gifu gunma hiroshima hokkaido hyogo ibaraki
        ishikawa iwate kagawa kagoshima kanagawa kawasaki kitakyushu kobe kochi kumamoto kyoto mie miyagi miyazaki
        nagano nagasaki nagoya nara niigata oita okayama okinawa osaka saga saitama sapporo sendai shiga shimane
        shizuoka tochigi tokushima tokyo tottori toyama wakayama yamagata yamaguchi yamanashi yokohama
    """,
    "cn": """
        ah bj cq fj gd gs gx gz ha hb he hi hk hl hn jl js jx ln mo nm nx qh sc sd sh sn sx tj tw xj xz yn zj
    """,
    "tw": "club ebiz game idv",
    "uk": "ltd me nhs plc police sch",
    "au": "asn id",
    "in": "firm gen ind nic res",
    "ru": "msk spb",
    "ua": "in kiev kyiv lviv odesa",
    "vn": "health info name pro",
}
"""Second-level registries that one country alone has."""

_PLATFORM_NAMES: Final = """
    a.run.app akadns.net akamai.net akamaiedge.net akamaihd.net akamaized.net aliyuncs.com amazonaws.com
    amplifyapp.com appspot.com atlassian.net auth0.com awsapprunner.com awsglobalaccelerator.com azure-api.net
    azurecontainer.io azurecontainerapps.io azureedge.net azurefd.net azurestaticapps.net azurewebsites.net
    b-cdn.net backblazeb2.com base44.app bcebos.com bitbucket.io blob.core.windows.net blogspot.co.kr blogspot.com
    bolt.host bytepluscdn.com bytepluses.com cafe24.com carrd.co cdn.cloudflare.net cdn77.org cloudapp.azure.com
    cloudapp.net clouddn.com cloudfront.net cloudfunctions.net cloudwaysapps.com codespot.com convex.site
    core.windows.net csb.app daumcdn.net ddns.net deno.dev digitaloceanspaces.com duckdns.org dyndns.org edgekey.net
    edgesuite.net elasticbeanstalk.com fastly-edge.com fastly.net fastlylb.net firebaseapp.com fly.dev force.com
    framer.app framer.website freshdesk.com gitbook.io github.dev github.io githubpreview.dev githubusercontent.com
    gitlab.io gitpod.io glitch.me googleapis.com googleusercontent.com gov-ncloud.com gradio.live herokuapp.com
    herokudns.com hf.space hopto.org hwcdn.net hwclouds.com imweb.me iptime.org kakaocdn.net kinsta.cloud
    kinsta.page kunlunca.com kxcdn.com livekit.cloud llnwd.net lovable.app lovableproject.com map.fastly.net
    medium.com modal.run modoo.at my.site.com myhuaweicloud.com myqcloud.com myqnapcloud.com myshopify.com
    myworkday.com ncloud.com neocities.org netlify.app no-ip.org notion.site now.sh ntruss.com okta.com on.aws
    ondigitalocean.app onmicrosoft.com onrender.com pages.dev pantheonsite.io platformsh.site pstatic.net
    pythonanywhere.com qiniucdn.com r2.cloudflarestorage.com r2.dev railway.app readthedocs.io repl.co replit.app
    replit.dev rsc.cdn77.org run.app s3.amazonaws.com salesforce.com sentry.io service-now.com sharepoint.com
    snowflakecomputing.com squarespace.com stackpathcdn.com static.hf.space storage.googleapis.com streamlit.app
    streamlitapp.com substack.com supabase.co supabase.in surge.sh synology.me tencentcloudapi.com tistory.com
    trafficmanager.net trycloudflare.com tumblr.com up.railway.app vercel.app volces.com wasabisys.com web.app
    webflow.io weebly.com weeblysite.com windows.net wixsite.com wixstudio.com wordpress.com workers.dev
    wpengine.com wpenginepowered.com zapto.org zendesk.com
"""
_PLATFORMS: Final = frozenset(_PLATFORM_NAMES.split())
"""Hosting, content-delivery and office platforms: every customer has a name below."""


def is_public_suffix(name: str) -> bool:
    """Whether names of many owners lie below this one; takes the canonical text of a DomainName."""
    labels = name.split(".")
    return len(labels) < 2 or name in _PLATFORMS or (len(labels) == 2 and _is_registry(*labels))


def _is_registry(label: str, top: str) -> bool:
    return (label, top) in _PAIRS


_PAIRS: Final = frozenset(
    [(label, top) for label, tops in _REGISTRIES.items() for top in tops.split()]
    + [(label, top) for top, labels in _LOCAL.items() for label in labels.split()]
)
