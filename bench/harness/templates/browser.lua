-- A request head as a browser sends it: 25 fields with Host, about 1.5 KiB.
local fields = {
  ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
  ["Accept-Encoding"] = "gzip, deflate, br, zstd",
  ["Accept-Language"] = "en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7,fr;q=0.6",
  ["Cache-Control"] = "max-age=0",
  ["Pragma"] = "no-cache",
  ["Referer"] = "https://shop.example.com/catalogue/garden/furniture?sort=price&page=3&view=grid&campaign=autumn-newsletter",
  ["Cookie"] = "session=4f0c1d2e3b4a59687766554433221100ffeeddccbbaa; consent=v2.2026-11-01.analytics-0.marketing-0; " ..
    "basket=3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b; theme=dark; currency=EUR; " ..
    "recent=10293-48123-55012-69321-70045-81234-90412-11873-30294; campaign=autumn-newsletter.2026-11.variant-b; region=eu-central.de.berlin; ab=checkout:b,search:a,home:c; _id=GA1.2.1983745362.1762345678",
  ["Sec-Ch-Ua"] = '"Chromium";v="142", "Not A(Brand";v="24", "Google Chrome";v="142"',
  ["Sec-Ch-Ua-Mobile"] = "?0",
  ["Sec-Ch-Ua-Platform"] = '"Linux"',
  ["Sec-Fetch-Dest"] = "document",
  ["Sec-Fetch-Mode"] = "navigate",
  ["Sec-Fetch-Site"] = "same-origin",
  ["Sec-Fetch-User"] = "?1",
  ["Upgrade-Insecure-Requests"] = "1",
  ["If-None-Match"] = 'W/"5f3c-8d21b0a7c4e9f6123"',
  ["If-Modified-Since"] = "Mon, 23 Nov 2026 18:11:05 GMT",
  ["DNT"] = "1",
  ["Priority"] = "u=0, i",
  ["Origin"] = "https://shop.example.com",
  ["X-Requested-With"] = "fetch",
  ["X-Csrf-Token"] = "d41d8cd98f00b204e9800998ecf8427e5c3a1b7f",
  ["X-Client-Version"] = "web-2026.47.2+build.91822",
}
for name, value in pairs(fields) do wrk.headers[name] = value end
