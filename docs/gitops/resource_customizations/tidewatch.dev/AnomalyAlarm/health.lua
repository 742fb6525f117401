-- Ready says whether the object is in place as declared. It stays True with a firing alarm,
-- which is what the object is for: an Application isn't Degraded because something is being watched well.
local hs = { status = "Progressing", message = "Tidewatch has not reconciled this generation yet" }
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    hs.message = condition.message
    if condition.status == "True" then
      hs.status = "Healthy"
    elseif condition.status == "False" then
      hs.status = "Degraded"
    end
  end
end
return hs
