-- SPDX-License-Identifier: Apache-2.0
-- 39. Is the evidence whole, who touched it, when was it taken? (the gaps: what could not be read)
-- tables: gaps
-- command: memir verify CASE
-- command: memir verify EVIDENCE
-- command: memir info IMAGE
select kind, count, why, example
from gaps
order by kind <> 'RAM', kind, why
